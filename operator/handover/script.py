def hand_over():
    """Lets Flagsmith's own code prepare a project for Edge. `manage.py shell -c` of the Core API's image runs it.

    One function that refers to nothing outside itself: releases differ in whether top-level names of such a script can
    see each other. What it is to do comes as JSON in EDGE_MIGRATION_HANDOVER; what it did, or why it did nothing, goes
    as one line of JSON to the output and to the pod's termination message.
    """
    import json
    import os
    import re
    import signal

    class Stopped(BaseException):
        pass

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

        def write():
            environments = list(Environment.objects.filter_for_document_builder(project_id=project_id))
            keys = list(EnvironmentAPIKey.objects.filter(environment__in=environments))
            if want["mode"] == "Run":
                # An empty batch is refused by some releases.
                if environments:
                    EnvironmentWrapper().write_environments(environments)
                if keys:
                    KeyWrapper().write_api_keys(keys)
                if environments and has_meta:
                    MetaWrapper().write_environments(environments)
            return {"environments": len(environments), "serverKeys": len(keys), "metaRows": has_meta}

        facts = write()
        if want["mode"] != "Run":
            say("verified", enabled=project.enable_dynamo_db, **facts)
            return
        # The switch comes last, so that a failure leaves Core as it was; what changed meanwhile Flagsmith has not written.
        # Writing takes its time, in which Flagsmith may have completed something itself.
        changes = find_changes(find_project(), has_meta)
        if changes:
            Project.objects.filter(id=project_id).update(**changes)
            facts = write()
        say("done", changed=sorted(changes), **facts)

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
