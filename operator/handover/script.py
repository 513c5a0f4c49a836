def hand_over():
    """Lets Flagsmith's own code prepare a project for Edge. `manage.py shell -c` of the Core API's image runs it.

    One function that refers to nothing outside itself: releases differ in whether top-level names of such a script can
    see each other. What it is to do comes as JSON in EDGE_MIGRATION_HANDOVER; what it did, or why it did nothing, goes
    as one line of JSON to the output and to the pod's termination message.
    """
    import gzip
    import json
    import os
    import re
    import signal

    class Stopped(BaseException):
        pass

    class Recorder:
        """Takes what Flagsmith would write now: every release keeps its table in `_table`."""

        def __init__(self):
            self.items = []

        def batch_writer(self, **_):
            return self

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return False

        def put_item(self, Item, **_):
            self.items.append(Item)

    ROUNDS = 10

    def to_text(value):
        value = getattr(value, "value", value)
        if isinstance(value, (bytes, bytearray)):
            # Compressed documents have the time of their compression in them.
            return (gzip.decompress(value) if value[:2] == b"\x1f\x8b" else value).hex()
        return sorted(map(str, value)) if isinstance(value, (set, frozenset)) else str(value)

    want = json.loads(os.environ["EDGE_MIGRATION_HANDOVER"])
    project_id = want["project"]

    def say(outcome, **facts):
        line = json.dumps({"handover": outcome, "project": project_id, **facts})
        print(line, flush=True)
        try:
            with open(os.environ["EDGE_MIGRATION_TERMINATION_MESSAGE_FILE"], "w") as file:
                file.write(line)
        except OSError:
            pass  # the pod's log has it, too

    def stop(outcome, reason):
        say(outcome, reason=reason)
        raise SystemExit(3)

    def give_up(*_):
        raise Stopped("not done within %d s" % want["seconds"])

    def find_problem(found):
        missing = sorted(name for name, value in found.items() if value is None)
        return missing and "this release of Flagsmith does not have " + ", ".join(missing)

    def find_table(wrapper):
        get = getattr(wrapper, "get_table_name", None)
        return get() if get else wrapper.table_name

    def check_table(wrapper, setting, expected):
        name = find_table(wrapper)
        if not name:
            stop("refused", "the Core API has no table name in " + setting)
        if expected and name != expected:
            stop("refused", "the Core API writes to %s, but the operator looks at %s" % (name, expected))

    def run():
        try:
            from environments import dynamodb
            from environments.models import Environment, EnvironmentAPIKey
            from projects.models import Project
        except ImportError as error:
            stop("unknownRelease", str(error))
        try:
            from environments.dynamodb import DynamoEnvironmentAPIKeyWrapper as KeyWrapper
        except ImportError:
            # Releases before 2.95 keep it in a module of its own.
            module = getattr(dynamodb, "dynamodb_wrapper", None)
            KeyWrapper = getattr(module, "DynamoEnvironmentAPIKeyWrapper", None)
        EnvironmentWrapper = getattr(dynamodb, "DynamoEnvironmentWrapper", None)
        MetaWrapper = getattr(dynamodb, "DynamoEnvironmentV2Wrapper", None)
        problem = find_problem(
            {
                "DynamoEnvironmentWrapper.write_environments": getattr(EnvironmentWrapper, "write_environments", None),
                "DynamoEnvironmentAPIKeyWrapper.write_api_keys": getattr(KeyWrapper, "write_api_keys", None),
                "Environment.objects.filter_for_document_builder": getattr(
                    Environment.objects, "filter_for_document_builder", None
                ),
                "Project.enable_dynamo_db": getattr(Project, "enable_dynamo_db", None),
            }
        )
        if problem:
            stop("unknownRelease", problem)
        tables = want["tables"]
        check_table(EnvironmentWrapper(), "ENVIRONMENTS_TABLE_NAME_DYNAMO", tables.get("environments"))
        check_table(KeyWrapper(), "ENVIRONMENTS_API_KEY_TABLE_NAME_DYNAMO", tables.get("serverKeys"))
        has_meta = MetaWrapper is not None and "environmentsV2" in tables
        if has_meta:
            check_table(MetaWrapper(), "ENVIRONMENTS_V2_TABLE_NAME_DYNAMO", tables["environmentsV2"])

        def find_project():
            project = Project.objects.filter(id=project_id).first()
            if project is None:
                stop("refused", "the Core API's database has no project %d" % project_id)
            return project

        project = find_project()

        written = {"environments": [], "keys": []}

        def read():
            environments = list(Environment.objects.filter_for_document_builder(project_id=project_id))
            return environments, list(EnvironmentAPIKey.objects.filter(environment__in=environments))

        def list_writes(environments, keys):
            writes = [(EnvironmentWrapper, "write_environments", environments), (KeyWrapper, "write_api_keys", keys)]
            if has_meta:
                writes.append((MetaWrapper, "write_environments", environments))
            # An empty batch is refused by some releases.
            return [each for each in writes if each[2]]

        def write(found):
            written["environments"] += found[0]
            written["keys"] += found[1]
            for Wrapper, method, objects in list_writes(*found):
                getattr(Wrapper(), method)(objects)

        def describe(found):
            items = []
            for Wrapper, method, objects in list_writes(*found):
                wrapper = Wrapper()
                wrapper._table = recorder = Recorder()
                getattr(wrapper, method)(objects)
                items += recorder.items
            return sorted(json.dumps(item, sort_keys=True, default=to_text) for item in items)

        def remove_gone(environments, keys):
            # What was deleted while it was being written, Flagsmith may have removed before.
            keys_left = {key.key for key in keys}
            places = {(environment.id, environment.api_key) for environment in written["environments"]}
            gone = [(KeyWrapper, "delete_api_key", key) for key in {each.key for each in written["keys"]} - keys_left]
            for id, api_key in places:
                if api_key not in {environment.api_key for environment in environments}:
                    gone.append((EnvironmentWrapper, "delete_environment", api_key))
                if has_meta and id not in {environment.id for environment in environments}:
                    gone.append((MetaWrapper, "delete_environment", id))
            for Wrapper, method, key in gone:
                remove = getattr(Wrapper(), method, None)
                if remove:
                    remove(key)

        def settle():
            """Writes until what was written is what Core says after it: Flagsmith's own writes may have come between."""
            found = read()
            before = describe(found)
            # A release whose documents are others each time, or that has its table elsewhere, is written once.
            is_comparable = len(before) > 0 and before == describe(found)
            for _ in range(ROUNDS):
                write(found)
                now = read()
                after = describe(now)
                remove_gone(*now)
                if after == before or not is_comparable:
                    return now
                found, before = now, after
            say("failed", reason="the project's environments change all the time")
            raise SystemExit(1)

        if want["mode"] != "Run":
            say("verified", enabled=project.enable_dynamo_db, **count(read(), has_meta))
            return
        # The switch comes last, so that a failure leaves Core as it was; what changed meanwhile Flagsmith has not written.
        # Writing takes its time, in which Flagsmith may have completed something itself.
        if find_changes(find_project(), has_meta):
            write(read())
        changes = find_changes(find_project(), has_meta)
        if changes:
            Project.objects.filter(id=project_id).update(**changes)
        say("done", changed=sorted(changes), **count(settle(), has_meta))

    def count(found, has_meta):
        return {"environments": len(found[0]), "serverKeys": len(found[1]), "metaRows": has_meta}

    def find_changes(project, has_meta):
        changes = {} if project.enable_dynamo_db else {"enable_dynamo_db": True}
        # Flagsmith keeps _META rows up to date only where it takes this migration for done; the name differs by release.
        names = ("edge_v2_migration_status", "identity_overrides_v2_migration_status")
        name = next((name for name in names if hasattr(project, name)), None)
        if not has_meta or name is None or getattr(project, name) == "COMPLETE":
            return changes
        status = "COMPLETE" if want["overridesCopied"] else "INCOMPLETE"
        choices = [value for value, _ in (project._meta.get_field(name).choices or [])]
        if status in choices and getattr(project, name) != status:
            changes[name] = status
        return changes

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(want["seconds"])
    try:
        run()
    except SystemExit:
        raise
    except BaseException as error:
        # Pydantic and boto3 quote the value that they refuse, which is a customer's.
        text = re.split("[,;]? *input_value=| for value ", str(error))[0]
        say("failed", reason="%s: %s" % (type(error).__name__, text[:500]))
        raise SystemExit(1)
    finally:
        signal.alarm(0)


hand_over()
