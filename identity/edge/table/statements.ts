import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type { Item } from '../document/document.ts';
import type { DocumentWrite } from './writes.ts';

/** A PartiQL statement and the values of its question marks. */
export interface Statement {
  readonly Statement: string;
  readonly Parameters: AttributeValue[];
}

/** Writes to one table as PartiQL. They come in a handful of shapes, whose texts are made once. */
export function createStatements(table: string, keyName: string) {
  const texts = new Map<string, string>();

  function textOf(shape: readonly (readonly string[])[], compose: () => string): string {
    const name = JSON.stringify(shape);
    const text = texts.get(name) ?? compose();
    texts.set(name, text);
    return text;
  }

  /** Stores an item if its key is absent. */
  function insert(item: Item): Statement {
    const names = Object.keys(item);
    const value = () => names.map((name) => `'${name.replaceAll("'", "''")}': ?`).join(', ');
    const text = textOf([names], () => `INSERT INTO ${quote(table)} VALUE {${value()}}`);
    return { Statement: text, Parameters: Object.values(item) };
  }

  /**
   * The write as a statement with the same condition; undefined when no statement certainly means the same: PartiQL has
   * ideas of its own about NULL and about missing attributes.
   */
  function describe(write: DocumentWrite): Statement | undefined {
    if (write.kind === 'put') return write.expected === undefined ? insert(write.item) : undefined;
    if (write.kind !== 'update' || (write.remove ?? []).length > 0) return undefined;
    const { set, expected } = write;
    const Parameters: AttributeValue[] = [...Object.values(set), { S: write.key }];
    for (const value of Object.values(expected)) {
      if (value === undefined || value.NULL !== undefined) return undefined;
      Parameters.push(value);
    }
    const shape = [Object.keys(set), [keyName, ...Object.keys(expected)]] as const;
    const text = textOf(shape, () => {
      const [sets, conditions] = shape.map((names) => names.map((name) => `${quote(name)} = ?`));
      return `UPDATE ${quote(table)} SET ${sets?.join(' SET ')} WHERE ${conditions?.join(' AND ')}`;
    });
    return { Statement: text, Parameters };
  }

  return { insert, describe };
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
