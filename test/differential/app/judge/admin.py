"""What the dashboard calls about one identity, or one feature state."""

from django.http import Http404
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from judge.access import OfEnvironment
from judge.journal import enter, record
from judge.world import (
    ENVIRONMENTS,
    FEATURES,
    IDENTIFIER_LENGTH,
    IDENTITIES,
    KEY_LENGTH,
    STATES,
    TRAITS,
    column,
    get_or_create,
    lookup,
    write_override,
    write_trait,
)


class IdentityData(serializers.Serializer):
    identifier = serializers.CharField(max_length=IDENTIFIER_LENGTH)


class TraitData(serializers.Serializer):
    trait_key = serializers.CharField(max_length=KEY_LENGTH)


class RowField(serializers.Field):
    """A foreign key, as REST framework's related field takes it."""

    def __init__(self, rows, **kwargs):
        super().__init__(**kwargs)
        self.rows = rows

    def run_validation(self, data=serializers.empty):
        # An empty string means null.
        return super().run_validation(None if data == "" else data)

    def to_internal_value(self, data):
        if isinstance(data, bool):
            raise serializers.ValidationError("Incorrect type.")
        try:
            return lookup(self.rows, data)
        except Http404 as error:
            raise serializers.ValidationError("Invalid pk.") from error

    def to_representation(self, value):
        return value


class StateData(serializers.Serializer):
    feature = RowField(FEATURES)
    enabled = serializers.BooleanField(required=False)
    identity = RowField(IDENTITIES, required=False, allow_null=True)
    identifier = serializers.CharField(required=False)
    environment = RowField(ENVIRONMENTS, required=False)

    def validate(self, attrs):
        if "identifier" in attrs:
            matching = [number for number, name in IDENTITIES.items() if name == attrs["identifier"]]
            if not matching:
                raise serializers.ValidationError("Invalid identifier")
            attrs["identity"] = matching[0]
        return attrs


def of_identity(view, environment):
    """The identity that the path names; 404 unless it is the environment's."""
    if environment["id"] != 41:
        raise Http404
    return lookup(IDENTITIES, view.kwargs["identity"])


def shown_state(number, feature=None):
    identity, own = STATES[number]
    return {"id": number, "feature": feature or own, "identity": identity, "environment": 41, "enabled": True}


def move_state(number, owner):
    """Saves a stored state, whose owner may be another than before."""
    former, feature = STATES[number]
    if former is not None:
        write_override(former, feature, state=number, left=owner != former)
    if owner is not None and owner != former:
        write_override(owner, feature, state=number)


class IdentityList(APIView):
    permission_classes = [OfEnvironment]

    def post(self, request, **kwargs):
        enter("admin.createIdentity")
        serializer = IdentityData(data=request.data)
        serializer.is_valid(raise_exception=True)
        stored = get_or_create(request.environment, serializer.validated_data["identifier"])
        return Response({"id": 1003, "identifier": stored, "environment": request.environment["id"]}, status=201)


class IdentityDetail(APIView):
    permission_classes = [OfEnvironment]

    def get(self, request, **kwargs):
        number = of_identity(self, request.environment)
        return Response({"id": number, "identifier": IDENTITIES[number], "environment": 41})

    def put(self, request, partial=False, **kwargs):
        enter("admin.renameIdentity")
        number = of_identity(self, request.environment)
        serializer = IdentityData(data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        # Without one the row is looked for under null, and is saved as it was.
        renamed = serializer.validated_data.get("identifier")
        if renamed is not None and renamed not in IDENTITIES.values():
            stored = column(renamed, IDENTIFIER_LENGTH)
            record("gone", environment=41, identifier=IDENTITIES[number])
            record("identity", environment=41, identifier=stored)
        return Response({"id": number, "identifier": renamed or IDENTITIES[number], "environment": 41})

    def patch(self, request, **kwargs):
        return self.put(request, partial=True, **kwargs)

    def delete(self, request, **kwargs):
        enter("admin.deleteIdentity")
        number = of_identity(self, request.environment)
        record("gone", environment=41, identifier=IDENTITIES[number])
        return Response(status=204)


class TraitList(APIView):
    permission_classes = [OfEnvironment]

    def post(self, request, **kwargs):
        enter("admin.createTrait")
        number = of_identity(self, request.environment)
        serializer = TraitData(data=request.data)
        serializer.is_valid(raise_exception=True)
        write_trait(request.environment, IDENTITIES[number], serializer.validated_data["trait_key"])
        return Response({"id": 5010, **serializer.data}, status=201)


class TraitDetail(APIView):
    permission_classes = [OfEnvironment]

    def find(self, request):
        identity = of_identity(self, request.environment)
        number = lookup(TRAITS, self.kwargs["trait"])
        if TRAITS[number][0] != identity:
            raise Http404
        return number, IDENTITIES[identity], TRAITS[number][1]

    def get(self, request, **kwargs):
        number, _, key = self.find(request)
        return Response({"id": number, "trait_key": key, "value_type": "unicode", "string_value": "x"})

    def put(self, request, partial=False, **kwargs):
        enter("admin.updateTrait")
        number, identifier, key = self.find(request)
        serializer = TraitData(data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        renamed = serializer.validated_data.get("trait_key", key)
        write_trait(request.environment, identifier, renamed)
        if renamed != key:
            write_trait(request.environment, identifier, key)
        return Response({"id": number, "trait_key": renamed})

    def patch(self, request, **kwargs):
        return self.put(request, partial=True, **kwargs)

    def delete(self, request, **kwargs):
        enter("admin.deleteTrait")
        _, identifier, key = self.find(request)
        if request.query_params.get("deleteAllMatchingTraits") in ("true", "True"):
            record("environment", environment=41, key=key)
        else:
            write_trait(request.environment, identifier, key)
        return Response(status=204)


class OverrideList(APIView):
    permission_classes = [OfEnvironment]

    def post(self, request, **kwargs):
        enter("admin.createOverride")
        if "feature" not in request.data:
            return Response({"detail": "Feature not provided"}, status=400)
        number = of_identity(self, request.environment)
        request.data["identity"] = number
        serializer = StateData(data=request.data)
        serializer.is_valid(raise_exception=True)
        write_override(serializer.validated_data["identity"], serializer.validated_data["feature"], state=9010)
        return Response({"id": 9010, "feature": serializer.validated_data["feature"], "identity": number}, status=201)


class OverrideDetail(APIView):
    permission_classes = [OfEnvironment]

    def find(self, request):
        identity = of_identity(self, request.environment)
        number = lookup(STATES, self.kwargs["state"])
        if STATES[number][0] != identity:
            raise Http404
        return number

    def get(self, request, **kwargs):
        return Response(shown_state(self.find(request)))

    def put(self, request, partial=False, **kwargs):
        enter("admin.updateOverride")
        number = self.find(request)
        identity, feature = STATES[number]
        if "feature_state_value" in request.data:
            write_override(identity, feature, state=number)
        serializer = StateData(data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        moved = None if partial else serializer.validated_data.get("identity")
        move_state(number, moved or identity)
        return Response({**shown_state(number), "identity": moved or identity})

    def patch(self, request, **kwargs):
        return self.put(request, partial=True, **kwargs)

    def delete(self, request, **kwargs):
        enter("admin.deleteOverride")
        number = self.find(request)
        move_state(number, STATES[number][0])
        return Response(status=204)


class CloneOverrides(APIView):
    permission_classes = [OfEnvironment]

    def post(self, request, **kwargs):
        enter("admin.cloneOverrides")
        number = of_identity(self, request.environment)
        lookup(IDENTITIES, request.data.get("source_identity_id"))
        for feature in FEATURES:
            write_override(number, feature)
        return Response([])


class EnvironmentStateList(APIView):
    permission_classes = [OfEnvironment]

    def post(self, request, **kwargs):
        enter("admin.createEnvironmentFeatureState")
        if "feature" not in request.data:
            return Response({"detail": "Feature not provided"}, status=400)
        serializer = StateData(data=request.data)
        serializer.is_valid(raise_exception=True)
        identity = serializer.validated_data.get("identity")
        if identity is not None:
            write_override(identity, serializer.validated_data["feature"], state=9010)
        return Response({"id": 9010, "identity": identity, **serializer.validated_data}, status=201)


class EnvironmentStateDetail(OverrideDetail):
    """Of the environment's own states, or with `anyIdentity` of the identities'."""

    def find(self, request):
        number = lookup(STATES, self.kwargs["state"])
        if request.environment["id"] != 41 or (STATES[number][0] is not None) != ("anyIdentity" in request.query_params):
            raise Http404
        return number

    def put(self, request, partial=False, **kwargs):
        enter("admin.updateEnvironmentFeatureState")
        number = self.find(request)
        identity = STATES[number][0]
        serializer = StateData(data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        moved = None if partial else serializer.validated_data.get("identity")
        move_state(number, moved or identity)
        return Response({**shown_state(number), "identity": moved or identity})

    def delete(self, request, **kwargs):
        enter("admin.deleteEnvironmentFeatureState")
        number = self.find(request)
        move_state(number, STATES[number][0])
        return Response(status=204)


class FeatureStates(ModelViewSet):
    """`features/featurestates/`: neither the path nor a look beforehand says whose state it is."""

    serializer_class = StateData

    def list(self, request, *args, **kwargs):
        return Response([])

    def create(self, request, *args, **kwargs):
        enter("admin.createFeatureState")
        serializer = StateData(data=request.data)
        serializer.is_valid(raise_exception=True)
        if serializer.validated_data.get("environment") != 41:
            return Response({"environment": "required"}, status=400)
        identity = serializer.validated_data.get("identity")
        if identity is not None:
            write_override(identity, serializer.validated_data["feature"], state=9010)
        return Response({"id": 9010, "identity": identity, **serializer.validated_data}, status=201)

    def update(self, request, *args, partial=False, **kwargs):
        enter("admin.updateFeatureState")
        number = lookup(STATES, kwargs["pk"])
        serializer = StateData(data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        moved = serializer.validated_data.get("identity", STATES[number][0])
        move_state(number, moved)
        return Response({**shown_state(number), "identity": moved})

    def retrieve(self, request, *args, **kwargs):
        return Response(status=405)

