import { Query as PgQuery, type PoolClient, type QueryResultRow, types } from 'pg';

/** The first rows of a statement that fit into a bound. */
export interface BoundedRows<Row> {
  /** All rows, or as many as fit, but at least one if there are any. */
  readonly rows: Row[];
  /** Size of each row as Postgres sent it, in characters. */
  readonly sizes: number[];
  /** Rows were left out. */
  readonly isCut: boolean;
}

/**
 * Runs one statement and keeps its first rows, until their texts together reach `maxSize` characters. The rest is
 * dropped unparsed as it arrives, so memory holds at most `maxSize` and one row, however much Core has.
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
