import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { deleteOldestLogged } from '../../../src/telemetry/store/statements.ts'
import { openTraceStoreWriter } from '../../../src/telemetry/store/writer.ts'
import { freshPath, read } from './opened.ts'
import { noon, requestSpans } from './records.ts'

test('[TST-1] a file from before the index of what callers log gets it, and keeps what it holds', async () => {
  await using place = await freshPath()
  const limits = { maxAge: 1e15, maxBytes: 1e9 }
  const first = await openTraceStoreWriter(place.path, limits, { now: () => noon })
  await first.write(requestSpans(1))
  await first.close()
  const indexes = () => {
    using database = new Database(place.path)
    return database.query<{ name: string }, []>("select name from sqlite_schema where type = 'index' and name like 'traces_l%'").all()
      .length
  }
  {
    using database = new Database(place.path)
    database.run('drop index traces_logged')
  }
  expect(indexes()).toBe(0)
  const next = await openTraceStoreWriter(place.path, limits, { now: () => noon })
  await next.write(requestSpans(2))
  await next.close()
  expect(indexes()).toBe(1)
  expect(await read(place.path, (store) => store.list({ limit: 10 }).length)).toBe(2)
})

test('[TST-1] what of it goes first is found by the index, however much else there is', async () => {
  await using place = await freshPath()
  await (await openTraceStoreWriter(place.path, { maxAge: 1e15, maxBytes: 1e9 })).close()
  using database = new Database(place.path)
  const plan = database.query<{ detail: string }, [number]>(`explain query plan ${deleteOldestLogged}`).all(50)
  expect(plan.map(({ detail }) => detail).join()).toContain('USING INDEX traces_logged')
})
