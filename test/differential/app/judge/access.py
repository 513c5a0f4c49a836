"""Who may do what: an environment's key, or the token of someone who may do everything."""

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission

from judge.world import environment_by_key


class User:
    is_authenticated = True
    is_active = True


class EnvironmentKeyAuthentication(BaseAuthentication):
    def authenticate(self, request):
        key = request.META.get("HTTP_X_ENVIRONMENT_KEY")
        environment = environment_by_key(key) if key else None
        if environment is None:
            raise AuthenticationFailed("Invalid or missing Environment key")
        request.environment = environment
        return None, None


class TokenAuthentication(BaseAuthentication):
    """The header is split as REST framework's own class does it."""

    def authenticate(self, request):
        words = request.META.get("HTTP_AUTHORIZATION", "").split()
        if not words or words[0].lower() != "token":
            return None
        if words[1:] != ["admin-token"]:
            raise AuthenticationFailed("Invalid token.")
        return User(), None

    def authenticate_header(self, request):
        return "Token"


class HasEnvironment(BasePermission):
    def has_permission(self, request, view):
        return hasattr(request, "environment")


class IsSignedIn(BasePermission):
    def has_permission(self, request, view):
        return bool(request.user and request.user.is_authenticated)


class OfEnvironment(IsSignedIn):
    """Routes below `environments/<client key>/`."""

    def has_permission(self, request, view):
        if not super().has_permission(request, view):
            return False
        environment = environment_by_key(view.kwargs["environment"])
        if environment is None or environment["api_key"] != view.kwargs["environment"]:
            return False
        request.environment = environment
        return True
