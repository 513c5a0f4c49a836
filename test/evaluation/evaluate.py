"""Evaluates flags as Edge does, from documents alone: reads {"environment", "identities"} and answers with, for each
identity, {feature: [enabled, value]}. Only packages that Flagsmith publishes: the engine, and the schemas of the documents.
"""

import json
import sys
import warnings

from flag_engine.engine import get_identity_feature_states
from flag_engine.environments.models import EnvironmentModel
from flag_engine.identities.models import IdentityModel
from flagsmith_schemas.dynamodb import Identity
from pydantic import TypeAdapter

warnings.simplefilter("ignore", DeprecationWarning)
schema = TypeAdapter(Identity)


def evaluate(environment, document):
    schema.validate_python(document)
    identity = IdentityModel.model_validate(document)
    states = get_identity_feature_states(environment, identity)
    hash_key = identity.get_hash_key(environment.use_identity_composite_key_for_hashing)
    return {state.feature.name: [state.enabled, state.get_value(hash_key)] for state in states}


asked = json.load(sys.stdin)
environment = EnvironmentModel.model_validate(asked["environment"])
json.dump([evaluate(environment, document) for document in asked["identities"]], sys.stdout)
