"""What Flagsmith's button does, with its boto3: `send_migration_event`, then `trigger_identity_migration` where asked to.

Reads a JSON object from the standard input: `entries` of PutEvents, and `mark` (an item's table and project) or none.
Writes one JSON object: `answer`, or `error` with `code`, `message` and `status`.
"""

import json
import sys
from datetime import datetime

import boto3
from botocore.exceptions import ClientError


def mark_triggered(table_name, project_id):
    """As `DynamoProjectMetadata`: the item is read before the event is sent, and put as a whole after it."""
    table = boto3.resource("dynamodb").Table(table_name)
    item = {
        "id": project_id,
        "migration_start_time": None,
        "migration_end_time": None,
        "triggered_at": None,
        **table.get_item(Key={"id": project_id}).get("Item", {}),
    }

    def save():
        table.put_item(Item={**item, "triggered_at": datetime.now().isoformat()})

    return save


def main():
    call = json.load(sys.stdin)
    save = mark_triggered(**call["mark"]) if call.get("mark") else None
    try:
        answer = boto3.client("events").put_events(Entries=call["entries"])
    except ClientError as error:
        told = error.response
        status = told["ResponseMetadata"]["HTTPStatusCode"]
        return {"error": {"code": told["Error"]["Code"], "message": told["Error"]["Message"], "status": status}}
    if save:
        save()
    del answer["ResponseMetadata"]
    return {"answer": answer}


json.dump(main(), sys.stdout, default=str)
