import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openSqlite } from '../../../src/runtime/sqlite.ts'
import { openTraceStore } from '../../../src/telemetry/store/reader.ts'
import { openTraceStoreWriter } from '../../../src/telemetry/store/writer.ts'
import { failureOf } from '../../../src/testing/failure-of.ts'
import { hex, noon, requestSpans, temporary } from './records.ts'

const day = 86_400_000
const ample = { maxAge: 7 * day, maxBytes: 1e9 }
const now = () => noon

async function freshPath(): Promise<string> {
  return join(await temporary(), 'below', 'traces.db')
}

const at = (time: number) => ({ start: time, end: time })

const start = (...words: string[]) =>
  Bun.spawn([process.execPath, join(import.meta.dir, 'writing-process.ts'), ...words], { stdout: 'pipe', stderr: 'inherit' })

async function read(path: string) {
  const store = await openTraceStore(path)
  if (!store) throw new Error('there is no store')
  return store
}

describe('what is written', () => {
  test('a request is one row with its spans, whichever of them comes first', async () => {
    const path = await freshPath()
    const writer = await openTraceStoreWriter(path, ample, { now })
    const owner = { principalId: 'alice', keyId: 'key_1', attributes: { teams: ['a'] } }
    const [server, client] = requestSpans(1, { status: 502, owner, attributes: { 'error.type': 'provider_error' } })
    await writer.write([server!, client!])
    const [late, early] = requestSpans(2)
    await writer.write([early!])
    await writer.write([late!])
    await writer.close()
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    using store = await read(path)
    const [second, first] = store.list({ limit: 10 })
    expect(first).toMatchObject({
      traceId: hex(1, 32),
      rootSpanId: hex(2, 16),
      name: 'POST /v1/chat/completions',
      start: noon,
      end: noon + 1_000,
      status: 'error',
      failed: true,
      kept: 'failed',
      httpStatus: 502,
      route: '/v1/chat/completions',
      model: 'groq/small',
      provider: 'groq',
      principal: 'alice',
      principalAttributes: { teams: ['a'] },
      keyId: 'key_1',
      requestId: 'req-1',
      errorType: 'provider_error',
      inputTokens: 12,
      outputTokens: 34,
      costUsd: 0.000_123,
    })
    expect(second).toMatchObject({ name: 'POST /v1/chat/completions', failed: false, httpStatus: 200, start: noon })
    expect(store.spansOf(second!).map(({ name, parentSpanId }) => [name, parentSpanId])).toEqual([
      ['POST /v1/chat/completions', null],
      ['chat small', hex(4, 16)],
    ])
  })

  test('two callers under one trace id have a row each', async () => {
    const path = await freshPath()
    const writer = await openTraceStoreWriter(path, ample, { now })
    const traceId = hex(99, 32)
    for (const [number, principalId] of [
      [1, 'alice'],
      [2, 'bob'],
    ] as const) {
      await writer.write(requestSpans(number, { traceId, owner: { principalId } }))
    }
    await writer.close()
    using store = await read(path)
    expect(store.byTraceId(traceId).map(({ principal }) => principal)).toEqual(['alice', 'bob'])
    expect(store.byTraceId(traceId).flatMap((trace) => store.spansOf(trace))).toHaveLength(4)
  })

  test('filters and pages: every trace once, in order', async () => {
    const path = await freshPath()
    const writer = await openTraceStoreWriter(path, ample, { now })
    for (let number = 1; number <= 25; number += 1) {
      const failed = number % 5 === 0
      // Several begin at the same time.
      await writer.write(requestSpans(number, { start: noon + Math.floor(number / 3), status: failed ? 429 : 200, duration: number * 100 }))
    }
    await writer.close()
    using store = await read(path)
    for (const order of ['newest', 'oldest'] as const) {
      const seen: number[] = []
      for (let page = store.list({ limit: 4, order }); page.length > 0; page = store.list({ limit: 4, order, after: page.at(-1) }))
        seen.push(...page.map(({ id }) => id))
      const ascending = Array.from({ length: 25 }, (_, index) => index + 1)
      expect(seen).toEqual(order === 'oldest' ? ascending : ascending.toReversed())
    }
    expect(store.list({ limit: 100, failed: true }).map(({ id }) => id)).toEqual([25, 20, 15, 10, 5])
    expect(store.list({ limit: 100, slowerThan: 2_400 }).map(({ id }) => id)).toEqual([25, 24])
    expect(store.list({ limit: 100, since: noon + 8 })).toHaveLength(2)
    expect(store.list({ limit: 100, until: noon + 1 })).toHaveLength(2)
    expect(store.list({ limit: 100, model: 'groq/other' })).toEqual([])
    expect(store.list({ limit: 100, requestId: "x' or 1=1 --" })).toEqual([])
    expect(store.writtenAfter(23, 10).map(({ id }) => id)).toEqual([24, 25])
    expect(store.lastId()).toBe(25)
    expect(store.find('req-2', 10).map(({ id }) => id)).toEqual([2])
    expect(store.find('req-2', 100).length).toBe(1)
    expect(store.find('req-', 100).length).toBe(25)
    expect(store.find(hex(7, 32), 2).map(({ id }) => id)).toEqual([7])
    expect(store.bySpanId(hex(15, 16)).map(({ id }) => id)).toEqual([7])
  })

  test('what is logged piece by piece becomes one span', async () => {
    const path = await freshPath()
    const writer = await openTraceStoreWriter(path, ample, { now })
    const [{ traceId, owner } = requestSpans(1)[0]!] = requestSpans(1)
    const piece = { traceId, spanId: 'a', kind: 'internal', sampled: false, kept: 'sampled', owner } as const
    await writer.write([
      { ...piece, ...at(noon), name: 'step', status: 'unset', attributes: { a: 1 } },
      { ...piece, ...at(noon + 1), name: '', status: 'unset', attributes: {}, events: [{ name: 'log', time: noon + 1 }] },
      { ...piece, ...at(noon + 2), name: '', status: 'unset', attributes: {}, events: [{ name: 'metric', time: noon + 2 }] },
      { ...piece, ...at(noon + 3), name: '', status: 'error', attributes: { b: 2 } },
    ])
    await writer.close()
    using store = await read(path)
    const [trace] = store.list({ limit: 1 })
    expect(trace).toMatchObject({ name: 'step', status: 'error', failed: true, start: noon, end: noon + 3 })
    expect(store.spansOf(trace!)).toMatchObject([
      {
        name: 'step',
        status: 'error',
        start: noon,
        end: noon + 3,
        attributes: { a: 1, b: 2 },
        events: [{ name: 'log' }, { name: 'metric' }],
      },
    ])
  })
})

describe('limits', () => {
  test('[TST-1] what is too old is deleted, with its spans', async () => {
    const path = await freshPath()
    let time = noon
    const writer = await openTraceStoreWriter(path, { maxAge: day, maxBytes: 1e9 }, { now: () => time })
    for (let number = 1; number <= 300; number += 1) await writer.write(requestSpans(number, { start: time }))
    time += day - 1
    await writer.write(requestSpans(301, { start: time }))
    {
      using store = await read(path)
      expect(store.list({ limit: 1_000 })).toHaveLength(301)
    }
    const before = numberIn(path, 'select count(*) as n from spans')
    time += 60_000
    await writer.write([])
    using store = await read(path)
    expect(store.list({ limit: 1_000 }).map(({ requestId }) => requestId)).toEqual(['req-301'])
    expect([before, numberIn(path, 'select count(*) as n from spans')]).toEqual([602, 2])
    expect(numberIn(path, 'pragma freelist_count')).toBe(0)
    await writer.close()
  })

  test('[TST-1] the oldest go where the rest takes too much; the file stays small', async () => {
    const path = await freshPath()
    const maxBytes = 1_000_000
    const writer = await openTraceStoreWriter(path, { maxAge: day, maxBytes }, { now })
    for (let number = 1; number <= 200; number += 1) {
      const spans = Array.from({ length: 10 }, (_, index) =>
        requestSpans(number * 10 + index, { start: noon + number, attributes: { padding: 'x'.repeat(1_000) } }),
      )
      await writer.write(spans.flat())
    }
    await writer.close()
    expect((await stat(path)).size).toBeLessThanOrEqual(maxBytes * 1.2)
    using store = await read(path)
    const kept = store.list({ limit: 10_000 })
    expect(kept.length).toBeGreaterThan(100)
    expect(kept[0]?.requestId).toBe('req-2009')
    expect(kept.map(({ id }) => id)).toEqual(kept.map((_, index) => kept[0]!.id - index))
  })
})

describe('several processes, and what befalls them', () => {
  test('[TST-2] two processes write one file', async () => {
    const path = await freshPath()
    const processes = [start(path, '1000', '20'), start(path, '5000', '20')]
    expect(await Promise.all(processes.map((one) => one.exited))).toEqual([0, 0])
    using store = await read(path)
    expect(store.list({ limit: 10_000 })).toHaveLength(400)
    expect(numberIn(path, 'select count(*) as n from spans')).toBe(800)
  }, 30_000)

  test('[TST-2] a writer that is killed leaves whole batches', async () => {
    const path = await freshPath()
    const writing = start(path, '1000')
    let said = ''
    for await (const chunk of writing.stdout.pipeThrough(new TextDecoderStream())) {
      said += chunk
      if (said.split('\n').length > 20) break
    }
    writing.kill('SIGKILL')
    await writing.exited
    const acknowledged = said.trim().split('\n').length
    expect(textIn(path, 'pragma integrity_check')).toBe('ok')
    using store = await read(path)
    const traces = store.list({ limit: 100_000 })
    expect(traces.length).toBeGreaterThanOrEqual((acknowledged - 1) * 10)
    expect(traces.length % 10).toBe(0)
    expect(traces.every((trace) => store.spansOf(trace).length === 2)).toBe(true)
    const next = await openTraceStoreWriter(path, ample, { now })
    await next.write(requestSpans(1))
    await next.close()
    expect(store.find('req-1', 1)).toHaveLength(1)
  }, 30_000)
})

describe('a store that cannot be written', () => {
  test('[TST-3] a full disk fails the batch, and the next works once there is room', async () => {
    const path = await freshPath()
    let connection: Awaited<ReturnType<typeof openSqlite>> | undefined
    const connect: typeof openSqlite = async (...given) => (connection = await openSqlite(...given))
    const writer = await openTraceStoreWriter(path, ample, { now, connect })
    await writer.write(requestSpans(1))
    connection!.execute('pragma max_page_count = 20', [])
    const long = { padding: 'x'.repeat(60_000) }
    const many = [2, 3, 4].flatMap((number) => requestSpans(number, { attributes: long }))
    expect(String(await failureOf(Promise.resolve(writer.write(many))))).toContain('full')
    expect(String(await failureOf(Promise.resolve(writer.write(many))))).toContain('full')
    expect(numberIn(path, 'select count(*) from traces')).toBe(1)
    connection!.execute('pragma max_page_count = 100000', [])
    await writer.write(many)
    await writer.close()
    using store = await read(path)
    expect(store.list({ limit: 10 })).toHaveLength(4)
  })

  test('[TST-3] a file that was removed is made anew', async () => {
    const path = await freshPath()
    let time = noon
    const writer = await openTraceStoreWriter(path, ample, { now: () => time })
    await writer.write(requestSpans(1))
    await Promise.all(['', '-wal', '-shm'].map((end) => rm(path + end, { force: true })))
    time += 60_000
    await writer.write(requestSpans(2))
    await writer.close()
    using store = await read(path)
    expect(store.list({ limit: 10 }).map(({ requestId }) => requestId)).toEqual(['req-2'])
  })

  test('[TST-3] no folder can be made, no database, another program’s, a newer version’s', async () => {
    const folder = await temporary()
    const file = join(folder, 'text')
    await writeFile(file, 'this is no database, and never was one; it is longer than a head of one. '.repeat(20))
    expect(String(await failureOf(openTraceStoreWriter(file, ample)))).toContain('not a database')
    expect(String(await failureOf(openTraceStoreWriter(join(file, 'below', 'traces.db'), ample)))).toContain('ENOTDIR')
    const other = join(folder, 'other.db')
    {
      using database = new Database(other)
      database.run('create table notes (text)')
    }
    expect(String(await failureOf(openTraceStoreWriter(other, ample)))).toContain('is a database of something else')
    expect(String(await failureOf(openTraceStore(other)))).toContain('is a database of something else')
    const newer = join(folder, 'newer.db')
    await (await openTraceStoreWriter(newer, ample)).close()
    {
      using database = new Database(newer)
      database.run('pragma user_version = 2')
    }
    expect(String(await failureOf(openTraceStoreWriter(newer, ample)))).toContain('newer version of Corral (2, this one knows 1)')
    expect(String(await failureOf(openTraceStore(newer)))).toContain('newer version')
    expect(await openTraceStore(join(folder, 'none.db'))).toBeUndefined()
  })
})

function numberIn(path: string, statement: string): number {
  return Number(textIn(path, statement))
}

function textIn(path: string, statement: string): string {
  using database = new Database(path)
  return String(Object.values(database.query<Record<string, unknown>, []>(statement).get() ?? {})[0])
}
