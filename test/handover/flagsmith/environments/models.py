from types import SimpleNamespace

import state


class EnvironmentManager:
    if state.read().get("release") != "unknown":

        @staticmethod
        def filter_for_document_builder(project_id):
            return [SimpleNamespace(**{"name": "", **row}) for row in state.read()["environments"]]


class KeyManager:
    @staticmethod
    def filter(environment__in):
        ids = [environment.id for environment in environment__in]
        return [SimpleNamespace(**key) for key in state.read()["keys"] if key["environment"] in ids]


class Environment:
    objects = EnvironmentManager


class EnvironmentAPIKey:
    objects = KeyManager
