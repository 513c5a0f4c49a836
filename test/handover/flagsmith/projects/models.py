import state


class Field:
    choices = [(name, name) for name in ("NOT_STARTED", "IN_PROGRESS", "COMPLETE", "INCOMPLETE")]


class Meta:
    @staticmethod
    def get_field(name):
        return Field


class Query(list):
    def first(self):
        return self[0] if self else None

    def update(self, **changes):
        state.note("update " + ",".join(sorted(changes)))
        state.change(project={**state.read()["project"], **changes})


class Manager:
    @staticmethod
    def filter(id):
        project = state.read()["project"]
        if project["id"] != id:
            return Query()
        found = Project()
        found.__dict__.update(project)
        return Query([found])


class Project:
    _meta = Meta
    objects = Manager
    enable_dynamo_db = "as Django, something that is not None"
