import state


class EnvironmentManager:
    if state.read().get("release") != "unknown":

        @staticmethod
        def filter_for_document_builder(project_id):
            return state.read()["environments"]


class KeyManager:
    @staticmethod
    def filter(environment__in):
        ids = [environment["id"] for environment in environment__in]
        return [key for key in state.read()["keys"] if key["environment"] in ids]


class Environment:
    objects = EnvironmentManager


class EnvironmentAPIKey:
    objects = KeyManager
