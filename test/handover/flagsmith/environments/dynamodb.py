import json
import os
import time
import urllib.request

import state

PROJECT = {"M": {"id": {"N": "1"}}}
AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=local/20260101/eu-west-2/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
)


def put(table, item):
    request = urllib.request.Request(
        os.environ["DYNAMODB_ENDPOINT"],
        json.dumps({"TableName": table, "Item": item}).encode(),
        {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "DynamoDB_20120810.PutItem",
            "Authorization": AUTHORIZATION,
        },
    )
    urllib.request.urlopen(request).read()


class Wrapper:
    setting = ""

    def get_table_name(self):
        return os.environ.get(self.setting, "")

    def write(self, kind, items):
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
        state.note("%s %d" % (kind, len(items)))
        if "DYNAMODB_ENDPOINT" in os.environ:
            for item in items:
                put(self.get_table_name(), self.describe(item))


class DynamoEnvironmentWrapper(Wrapper):
    setting = "ENVIRONMENTS_TABLE_NAME_DYNAMO"

    def write_environments(self, environments):
        self.write("documents", environments)

    def describe(self, environment):
        return {"api_key": {"S": environment["api_key"]}, "id": {"N": str(environment["id"])}, "project": PROJECT}


class DynamoEnvironmentAPIKeyWrapper(Wrapper):
    setting = "ENVIRONMENTS_API_KEY_TABLE_NAME_DYNAMO"

    def write_api_keys(self, keys):
        self.write("keys", keys)

    def describe(self, key):
        return {"key": {"S": key["key"]}, "client_api_key": {"S": key["client"]}, "active": {"BOOL": True}}


if state.read().get("release") != "old":

    class DynamoEnvironmentV2Wrapper(Wrapper):
        setting = "ENVIRONMENTS_V2_TABLE_NAME_DYNAMO"

        def write_environments(self, environments):
            self.write("meta", environments)

        def describe(self, environment):
            return {
                "environment_id": {"S": str(environment["id"])},
                "document_key": {"S": "_META"},
                "environment_api_key": {"S": environment["api_key"]},
                "id": {"N": str(environment["id"])},
                "project": PROJECT,
            }
