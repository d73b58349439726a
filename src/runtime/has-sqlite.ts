/** Whether this runtime brings SQLite along: Bun does; Node's is another one, which nothing here speaks to. */
export function hasSqlite(): boolean {
  return process.versions['bun'] !== undefined
}
