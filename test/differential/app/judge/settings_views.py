"""What changes documents without naming an identity, and the Django admin's forms."""

from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.views import View
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from judge.access import OfEnvironment
from judge.journal import enter, record
from judge.world import ENVIRONMENTS, FEATURES, KEY_LENGTH, PROJECTS, USERS, environment_by_key, lookup


class EnvironmentData(serializers.Serializer):
    name = serializers.CharField(required=False)
    api_key = serializers.CharField(required=False, max_length=100)


class TraitKeyData(serializers.Serializer):
    key = serializers.CharField()


class FeatureData(serializers.Serializer):
    name = serializers.CharField(required=False)
    type = serializers.CharField(required=False)
    description = serializers.CharField(required=False)


class UserDeletion(serializers.Serializer):
    delete_orphan_organisations = serializers.BooleanField(default=False)


class Environments(ViewSet):
    lookup_field = "environment"

    def find(self):
        environment = environment_by_key(self.kwargs["environment"])
        if environment is None or environment["api_key"] != self.kwargs["environment"]:
            raise Http404
        return environment

    def list(self, request, *args, **kwargs):
        return Response([])

    def retrieve(self, request, *args, **kwargs):
        environment = self.find()
        return Response({name: environment[name] for name in ("id", "api_key", "name", "project")})

    def update(self, request, *args, partial=False, **kwargs):
        enter("admin.renameEnvironment")
        environment = self.find()
        serializer = EnvironmentData(data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        key = serializer.validated_data.get("api_key", environment["api_key"])
        if key != environment["api_key"]:
            record("environment", environment=environment["id"], renamed=key)
        return Response({"id": environment["id"], "api_key": key, "name": "dev"})

    def partial_update(self, request, *args, **kwargs):
        return self.update(request, *args, partial=True, **kwargs)

    def destroy(self, request, *args, **kwargs):
        enter("admin.deleteEnvironment")
        record("environment", environment=self.find()["id"])
        return Response(status=204)

    @action(detail=True, methods=["POST"], url_path="delete-traits")
    def delete_traits(self, request, *args, **kwargs):
        enter("admin.deleteTraitKey")
        environment = self.find()
        serializer = TraitKeyData(data=request.data)
        if not serializer.is_valid():
            return Response({"detail": "Couldn't delete trait keys."}, status=400)
        key = serializer.validated_data["key"]
        key.encode()
        if len(key) <= KEY_LENGTH and "\0" not in key:
            record("environment", environment=environment["id"], key=key)
        return Response(status=200)

    @action(detail=True, methods=["POST"], url_path="enable-v2-versioning")
    def enable_versioning(self, request, *args, **kwargs):
        enter("admin.enableVersioning")
        record("environment", environment=self.find()["id"], overrides="all")
        return Response(status=202)

    @action(detail=True, methods=["POST"], url_path="disable-v2-versioning")
    def disable_versioning(self, request, *args, **kwargs):
        enter("admin.disableVersioning")
        record("environment", environment=self.find()["id"], overrides="all")
        return Response(status=202)


class Cohorts(ViewSet):
    permission_classes = [OfEnvironment]

    def create(self, request, *args, **kwargs):
        enter("admin.changeCohort")
        record("environment", environment=request.environment["id"])
        return Response(status=201)

    def destroy(self, request, *args, **kwargs):
        return self.create(request)

    def partial_update(self, request, *args, **kwargs):
        return self.create(request)


class Projects(ViewSet):
    def list(self, request, *args, **kwargs):
        return Response([{"id": project} for project in PROJECTS])

    def destroy(self, request, *args, **kwargs):
        enter("admin.deleteProject")
        record("project", project=lookup(PROJECTS, kwargs["pk"]), deleted=True)
        return Response(status=204)


class Organisations(ViewSet):
    def destroy(self, request, *args, **kwargs):
        enter("admin.deleteOrganisation")
        lookup(PROJECTS.values(), kwargs["pk"])
        for project in PROJECTS:
            record("project", project=project, deleted=True)
        return Response(status=204)


class FeatureDetail(APIView):
    def find(self):
        if FEATURES[lookup(FEATURES, self.kwargs["feature"])] != lookup(PROJECTS, self.kwargs["project"]):
            raise Http404
        return lookup(FEATURES, self.kwargs["feature"])

    def record(self):
        record("feature", project=21, feature=self.find())

    def get(self, request, **kwargs):
        return Response({"id": self.find(), "name": "button", "type": "STANDARD", "multivariate_options": []})

    def put(self, request, partial=False, **kwargs):
        enter("admin.updateFeature")
        serializer = FeatureData(data=request.data, partial=partial)
        feature = self.find()
        serializer.is_valid(raise_exception=True)
        kind = serializer.validated_data.get("type", "STANDARD")
        if kind != "STANDARD":
            self.record()
        return Response({"id": feature, "name": "button", "type": kind, "multivariate_options": []})

    def patch(self, request, **kwargs):
        return self.put(request, partial=True, **kwargs)

    def delete(self, request, **kwargs):
        enter("admin.deleteFeature")
        self.record()
        return Response(status=204)


class OptionList(FeatureDetail):
    http_method_names = ["post"]

    def post(self, request, **kwargs):
        enter("admin.createOption")
        self.record()
        return Response({"id": 301}, status=201)


class OptionDetail(FeatureDetail):
    http_method_names = ["put", "patch", "delete"]

    def put(self, request, **kwargs):
        enter("admin.changeOption")
        self.record()
        return Response({"id": 301})

    def patch(self, request, **kwargs):
        return self.put(request)

    def delete(self, request, **kwargs):
        self.put(request)
        return Response(status=204)


class LaunchDarklyImport(APIView):
    def post(self, request, project):
        enter("admin.importLaunchDarkly")
        record("project", project=lookup(PROJECTS, project), deleted=False)
        return Response({"id": 1}, status=201)


class FeatureImport(APIView):
    def post(self, request, environment):
        enter("admin.importFeatures")
        record("environment", environment=lookup(ENVIRONMENTS, environment), overrides="all")
        return Response({"id": 1}, status=201)


class Users(ViewSet):
    def me(self, request, *args, **kwargs):
        enter("auth.deleteUser")
        serializer = UserDeletion(data=request.data)
        serializer.is_valid(raise_exception=True)
        if serializer.validated_data["delete_orphan_organisations"]:
            for project in PROJECTS:
                record("project", project=project, deleted=True)
        return Response(status=204)

    @action(detail=False, methods=["DELETE"], url_path="me")
    def destroy_me(self, request, *args, **kwargs):
        return self.me(request)

    def destroy(self, request, *args, **kwargs):
        lookup(USERS, kwargs["pk"])
        return self.me(request)


class AdminForm(View):
    """
    `/admin/…`: a session's owner saves a form, everyone else is sent to the login. Where a saved form leads is up to the
    client in part, and in a pop-up it leads nowhere.
    """

    def post(self, request, **kwargs):
        enter("django.admin")
        if request.COOKIES.get("sessionid") != "staff":
            return HttpResponseRedirect(f"/admin/login/?next={request.path}")
        form = request.POST
        record("unknown")
        if "_popup" in form:
            return HttpResponse("closes the pop-up")
        if "_continue" in form:
            return HttpResponseRedirect(request.path)
        return HttpResponseRedirect(f"/admin/features/feature/?{request.GET.get('_changelist_filters', '')}")

    def get(self, request, **kwargs):
        return HttpResponse("a form")
