import { ConditionalCheckFailedException, DeleteItemCommand } from '@aws-sdk/client-dynamodb';
import type { Item } from '../document/document.ts';
import { sameValue } from '../document/equality.ts';
import { overriddenFeature } from '../override-rows.ts';
import type { Documents, OverrideRows } from '../store.ts';
import type { EdgeCallOptions, EdgeConnection } from './connection.ts';
import type { WriteResult } from './documents.ts';
import { keyOf } from './override-rows.ts';
import type { RowChanges } from './transaction.ts';
import { checkAfter, type DocumentWrite, type WriteCheck } from './writes.ts';

/**
 * Writes a document and its override rows where DynamoDB has no transactions: global tables with strong consistency.
 *
 * Removed rows are deleted first and others are put last, as in a chain of transactions: a process that finds it half
 * done, after another was killed, sees in the document what is left to do. The document is read again after its rows:
 * if another writer has changed it meanwhile, both may have put the same rows, so the caller, who learns that it
 * changed, reconciles them, and rows without an override are removed at once. Its look may come right before the document
 * is deleted: so the process that deletes it looks for rows that were put after it had removed them.
 */
export function createSequence(
  connection: EdgeConnection,
  documents: Documents,
  rows: Pick<OverrideRows, 'delete' | 'putMany' | 'getMany'>,
  rowsTable: string,
) {
  return async function commit(
    write: DocumentWrite,
    { put, remove }: RowChanges,
    options: EdgeCallOptions = {},
  ): Promise<WriteResult> {
    // Rows alone change only beside the document that they belong to.
    if (write.kind === 'check' || write.kind === 'gone') {
      const found = await readAndCheck(write, options);
      if (found !== 'as expected') return found;
    }
    for (const key of remove) await rows.delete(keyOf(key), options);
    const result = await writeDocument(write, options);
    if (result === 'written' && write.kind === 'delete') await sweep(write.expected, remove, options);
    if (result !== 'written' || put.length === 0) return result;
    await rows.putMany(put, options);
    const after = await readAndCheck(checkAfter(write), options);
    if (after === 'as expected') return 'written';
    for (const row of put) if (!hasOverride(after.changed, row)) await removeOwn(row, options);
    return after;
  };

  async function writeDocument(write: DocumentWrite, options: EdgeCallOptions): Promise<WriteResult> {
    switch (write.kind) {
      case 'put':
        return documents.putIfUnchanged(write.item, write.expected, options);
      case 'update':
        return documents.updateIfUnchanged(
          write.key,
          { set: write.set, ...(write.remove && { remove: write.remove }) },
          write.expected,
          options,
        );
      case 'delete':
        return documents.deleteIfUnchanged(write.expected, options);
      case 'check':
      case 'gone':
        return 'written';
    }
  }

  async function readAndCheck(
    write: WriteCheck,
    options: EdgeCallOptions,
  ): Promise<'as expected' | { readonly changed: Item | undefined }> {
    const found = await documents.get(write.key, options);
    if (write.kind === 'gone') return found === undefined ? 'as expected' : { changed: found };
    const isSame = Object.entries(write.expected).every(([name, value]) => {
      const now = found?.[name];
      return value === undefined || now === undefined ? value === now : sameValue(value, now);
    });
    return found !== undefined && isSame ? 'as expected' : { changed: found };
  }

  /** Removes rows that are there although their document was deleted. */
  async function sweep(deleted: Item, removed: readonly Item[], options: EdgeCallOptions): Promise<void> {
    if (removed.length === 0) return;
    const present = await rows.getMany(removed.map(keyOf), options);
    if (present.size === 0) return;
    const now = await documents.get(deleted['composite_key']?.S ?? '', options);
    for (const row of present.values()) if (!hasOverride(now, row)) await removeOwn(row, options);
  }

  /** Spares a row that another writer has put since. */
  async function removeOwn(row: Item, options: EdgeCallOptions): Promise<void> {
    const { environment_id, document_key, feature_state, created_date } = row;
    const isCreated = created_date === undefined ? 'attribute_not_exists(created_date)' : 'created_date = :created';
    const command = new DeleteItemCommand({
      TableName: rowsTable,
      Key: { environment_id: environment_id!, document_key: document_key! },
      ConditionExpression: `feature_state = :state AND ${isCreated}`,
      ExpressionAttributeValues: { ':state': feature_state!, ...(created_date && { ':created': created_date }) },
    });
    try {
      await connection.call(rowsTable, (client, handling) => client.send(command, handling), options);
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) throw error;
    }
  }
}

function hasOverride(document: Item | undefined, row: Item): boolean {
  if (document === undefined || document['identity_uuid']?.S !== row['identity_uuid']?.S) return false;
  const feature = overriddenFeature(row['feature_state'] ?? { NULL: true });
  return (document['identity_features']?.L ?? []).some((element) => overriddenFeature(element) === feature);
}
