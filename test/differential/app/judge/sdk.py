"""What SDKs call, with an environment's key."""

from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from judge.access import EnvironmentKeyAuthentication, HasEnvironment
from judge.journal import enter
from judge.world import IDENTIFIER_LENGTH, IDENTITIES, KEY_LENGTH, TRAITS, column, get_or_create, write_trait


class TraitValue(serializers.Field):
    """Anything; what no column can hold is stored by its spelling."""

    def to_internal_value(self, data):
        text = data if isinstance(data, (str, int, float, bool)) else str(data)
        if isinstance(text, str) and len(text) > 2000:
            raise serializers.ValidationError("Value string is too long.")
        return text

    def to_representation(self, value):
        return value


class TraitItem(serializers.Serializer):
    trait_key = serializers.CharField(max_length=KEY_LENGTH)
    trait_value = TraitValue(allow_null=True)
    transient = serializers.BooleanField(default=False)


class Identify(serializers.Serializer):
    identifier = serializers.CharField(required=False, allow_blank=True, allow_null=True)
    transient = serializers.BooleanField(write_only=True, default=False)
    traits = TraitItem(required=False, many=True)


class Identifier(serializers.Serializer):
    identifier = serializers.CharField(max_length=IDENTIFIER_LENGTH)


class SetTrait(serializers.Serializer):
    identity = Identifier()
    trait_value = TraitValue()
    trait_key = serializers.CharField()


class BulkTrait(SetTrait):
    trait_value = TraitValue(allow_null=True)


class Increment(serializers.Serializer):
    trait_key = serializers.CharField()
    increment_by = serializers.IntegerField(write_only=True)
    identifier = serializers.CharField()


class SdkView(APIView):
    authentication_classes = [EnvironmentKeyAuthentication]
    permission_classes = [HasEnvironment]


def stored_traits(environment, identifier):
    """Ids and keys, as an answer shows them."""
    if environment["id"] != 41:
        return []
    return [
        {"id": trait, "trait_key": key, "trait_value": "x"}
        for trait, (identity, key) in TRAITS.items()
        if IDENTITIES[identity] == identifier
    ]


class Identities(SdkView):
    def get(self, request):
        enter("sdk.readIdentity")
        identifier = request.query_params.get("identifier")
        if not identifier:
            return Response({"detail": "Missing identifier"})
        if not request.query_params.get("transient"):
            identifier = get_or_create(request.environment, identifier)
        if "feature" in request.query_params:
            return Response({"detail": "Given feature not found"}, status=404)
        return Response({"flags": [], "traits": stored_traits(request.environment, identifier)})

    def post(self, request):
        enter("sdk.identify")
        serializer = Identify(data=request.data)
        serializer.is_valid(raise_exception=True)
        data = serializer.validated_data
        identifier = data.get("identifier")
        if identifier and not data["transient"]:
            stored = get_or_create(request.environment, identifier)
            for trait in data.get("traits", []):
                if not trait["transient"]:
                    write_trait(request.environment, stored, trait["trait_key"])
        return Response({"identifier": identifier, "traits": [], "flags": []})

    def patch(self, request):
        """A write of some later release, which no route table has."""
        enter("sdk.later")
        serializer = Identifier(data=request.data)
        serializer.is_valid(raise_exception=True)
        get_or_create(request.environment, serializer.validated_data["identifier"])
        return Response({"traits": [], "flags": []})


class IdentityByPath(SdkView):
    def get(self, request, identifier, *args, **kwargs):
        enter("sdk.readIdentityByPath")
        stored = get_or_create(request.environment, identifier)
        return Response({"flags": [], "traits": stored_traits(request.environment, stored), "segments": []})


class FlagsByPath(SdkView):
    def get(self, request, identifier):
        enter("sdk.readFlagsByPath")
        get_or_create(request.environment, identifier)
        return Response([])


class Flags(SdkView):
    def get(self, request):
        return Response([])


class TraitByPath(SdkView):
    def post(self, request, identifier, trait_key):
        enter("sdk.setTraitByPath")
        if "trait_value" not in request.data:
            return Response({"detail": "Trait value not provided"}, status=400)
        stored = get_or_create(request.environment, identifier)
        write_trait(request.environment, stored, trait_key)
        return Response({"trait_key": trait_key})


class Traits(GenericViewSet):
    authentication_classes = [EnvironmentKeyAuthentication]
    permission_classes = [HasEnvironment]
    serializer_class = SetTrait

    def create(self, request, *args, **kwargs):
        enter("sdk.setTrait")
        serializer = SetTrait(data=request.data)
        serializer.is_valid(raise_exception=True)
        data = serializer.validated_data
        stored = get_or_create(request.environment, data["identity"]["identifier"])
        write_trait(request.environment, stored, data["trait_key"])
        return Response(serializer.data)

    @action(detail=False, methods=["POST"], url_path="increment-value")
    def increment(self, request, *args, **kwargs):
        enter("sdk.incrementTrait")
        serializer = Increment(data=request.data)
        serializer.is_valid(raise_exception=True)
        data = serializer.validated_data
        stored = get_or_create(request.environment, data["identifier"])
        write_trait(request.environment, stored, data["trait_key"])
        return Response({"identifier": stored})

    @action(detail=False, methods=["PUT"], url_path="bulk")
    def bulk(self, request, *args, **kwargs):
        enter("sdk.bulkTraits")
        try:
            return self._bulk(request)
        except (TypeError, AttributeError):
            return Response({"detail": "Invalid request data"}, status=400)

    def _bulk(self, request):
        kept, deleted = [], []
        for trait in request.data:
            if trait.get("trait_value") is None:
                deleted.append((trait["identity"]["identifier"], trait.get("trait_key")))
            else:
                kept.append(trait)
        self._delete(request.environment, deleted)
        serializer = BulkTrait(data=kept, many=True)
        serializer.is_valid(raise_exception=True)
        items = {}
        for item in serializer.validated_data:
            items.setdefault(item["identity"]["identifier"], []).append(item["trait_key"])
        for identifier, keys in items.items():
            stored = get_or_create(request.environment, identifier)
            for key in keys:
                write_trait(request.environment, stored, key)
        return Response(serializer.data)

    def _delete(self, environment, deleted):
        """By one statement, before the rest is validated. No identity is stored without a name, or under one too long."""
        for identifier, key in deleted:
            for value in (identifier, key):
                if value is not None:
                    column(value, len(str(value)))
        for identifier, key in deleted:
            if identifier in (None, "") or key is None:
                continue
            if len(str(identifier)) <= IDENTIFIER_LENGTH and len(str(key)) <= KEY_LENGTH:
                write_trait(environment, str(identifier), key)
