import configparser
import json
import os
import time
import urllib.request

import state

PROJECT = {"M": {"id": {"N": "1"}}}
AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=%s/20260101/eu-west-2/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
)


def find_key_id():
    """From the shared credentials file where one is named, as AWS's clients do."""
    if "AWS_SHARED_CREDENTIALS_FILE" not in os.environ:
        return "local"
    credentials = configparser.ConfigParser()
    with open(os.environ["AWS_SHARED_CREDENTIALS_FILE"]) as file:
        credentials.read_file(file)
    return credentials["default"]["aws_access_key_id"]


def put(table, item):
    request = urllib.request.Request(
        os.environ["DYNAMODB_ENDPOINT"],
        json.dumps({"TableName": table, "Item": item}).encode(),
        {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "DynamoDB_20120810.PutItem",
            "Authorization": AUTHORIZATION % find_key_id(),
        },
    )
    urllib.request.urlopen(request).read()


class Batch:
    """What a table's batch writer is: all is written when it is left."""

    def __init__(self, table, kind):
        self.table, self.kind, self.items = table, kind, []

    def __enter__(self):
        return self

    def __exit__(self, problem, *_):
        if problem is None:
            self.write()

    def put_item(self, Item):
        self.items.append(Item)

    def write(self):
        mood = state.read().get("mood")
        if mood == "hang":
            time.sleep(3600)
        if mood == "fail":
            raise RuntimeError("AccessDeniedException: not authorized to perform BatchWriteItem")
        if mood == "invalid":
            # As pydantic and boto3 say it.
            raise ValueError(
                "1 validation error for EnvironmentModel\nname\n  Input should be a valid string "
                "[type=string_type, input_value='a customer\'s value', input_type=int]"
            )
        if mood == "unsupported":
            raise TypeError('Unsupported type "<class \'set\'>" for value "a customer\'s value"')
        if mood == "complete" and not state.read().get("calls"):
            # Flagsmith's own migration of overrides ends meanwhile.
            state.change(project={**state.read()["project"], "edge_v2_migration_status": "COMPLETE"})
        interfere(mood, self.kind)
        state.note("%s %d" % (self.kind, len(self.items)))
        state.change(tables={**state.read().get("tables", {}), self.kind: self.items})
        if "DYNAMODB_ENDPOINT" in os.environ:
            for item in self.items:
                put(self.table, item)


def interfere(mood, kind):
    """Somebody changes the project while a batch is under way, and Flagsmith's own task is quicker than that."""
    now = state.read()
    if kind != "documents" or not now["project"]["enable_dynamo_db"]:
        return
    if mood == "edit" and not now["environments"][0].get("name"):
        state.change(environments=[{**now["environments"][0], "name": "edited"}])
        state.note("task")
    if mood == "restless":
        state.change(environments=[{**now["environments"][0], "name": str(time.monotonic_ns())}])
    if mood == "delete" and now["environments"]:
        state.change(environments=[], keys=[])
        state.note("task")


class Table:
    def __init__(self, name, kind):
        self.name, self.kind = name, kind

    def batch_writer(self):
        return Batch(self.name, self.kind)

    def delete_item(self, Key):
        state.note("delete %s %s" % (self.kind, list(Key.values())[0]))


class Wrapper:
    setting = ""
    kind = ""

    def __init__(self):
        self._table = None

    @property
    def table(self):
        if not self._table:
            self._table = Table(self.get_table_name(), self.kind)
        return self._table

    def get_table_name(self):
        return os.environ.get(self.setting, "")

    def write(self, objects):
        with self.table.batch_writer() as writer:
            for each in objects:
                writer.put_item(Item=self.describe(each))


class DynamoEnvironmentWrapper(Wrapper):
    setting = "ENVIRONMENTS_TABLE_NAME_DYNAMO"
    kind = "documents"

    def write_environments(self, environments):
        self.write(environments)

    def delete_environment(self, api_key):
        self.table.delete_item(Key={"api_key": api_key})

    def describe(self, environment):
        return {
            "api_key": {"S": environment.api_key},
            "id": {"N": str(environment.id)},
            "name": {"S": environment.name},
            "project": PROJECT,
        }


class DynamoEnvironmentAPIKeyWrapper(Wrapper):
    setting = "ENVIRONMENTS_API_KEY_TABLE_NAME_DYNAMO"
    kind = "keys"

    def write_api_keys(self, keys):
        self.write(keys)

    def delete_api_key(self, key):
        self.table.delete_item(Key={"key": key})

    def describe(self, key):
        return {"key": {"S": key.key}, "client_api_key": {"S": key.client}, "active": {"BOOL": True}}


if state.read().get("release") != "old":

    class DynamoEnvironmentV2Wrapper(Wrapper):
        setting = "ENVIRONMENTS_V2_TABLE_NAME_DYNAMO"
        kind = "meta"

        def write_environments(self, environments):
            self.write(environments)

        def delete_environment(self, environment_id):
            self.table.delete_item(Key={"environment_id": environment_id})

        def describe(self, environment):
            return {
                "environment_id": {"S": str(environment.id)},
                "document_key": {"S": "_META"},
                "environment_api_key": {"S": environment.api_key},
                "id": {"N": str(environment.id)},
                "project": PROJECT,
            }
