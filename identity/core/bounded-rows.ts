import { Query as PgQuery, type PoolClient, type QueryResultRow, types } from 'pg';

/** A statement's first rows, as far as they fit into a bound. */
export interface BoundedRows<Row> {
  /** All, or as many as fit, but at least one where there are any. */
  readonly rows: Row[];
  /** Size of each as Postgres sent it, in characters. */
  readonly sizes: number[];
  /** Rows were left out. */
  readonly isCut: boolean;
}

/**
 * Runs one statement and keeps its first rows, until their texts together reach `maxSize` characters. What follows is
 * dropped as it arrives, unparsed, so that memory holds `maxSize` and one row at most, whatever Core has.
 *
 * @throws errors of node-postgres
 */
export function readBoundedRows<Row extends QueryResultRow>(
  client: Pick<PoolClient, 'query'>,
  text: string,
  values: readonly unknown[],
  maxSize: number,
): Promise<BoundedRows<Row>> {
  const rows: Row[] = [];
  const sizes: number[] = [];
  let total = 0;
  let rowSize = 0;
  let isCut = false;
  const isFull = () => rows.length > 0 && total >= maxSize;

  const measuring = {
    getTypeParser(oid: number) {
      const parse = types.getTypeParser(oid) as (value: string) => unknown;
      return (value: string) => {
        rowSize += value.length;
        return isFull() ? null : parse(value);
      };
    },
  };

  return new Promise((resolve, reject) => {
    const query = new PgQuery<Row>({ text, values: [...values], types: measuring as never });
    query.on('row', (row) => {
      if (isFull()) isCut = true;
      else {
        rows.push(row);
        sizes.push(rowSize);
        total += rowSize;
      }
      rowSize = 0;
    });
    query.on('error', reject);
    query.on('end', () => resolve({ rows, sizes, isCut }));
    client.query(query);
  });
}
