import { expect, test } from 'bun:test'
import { Database } from 'bun:sqlite'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chatReply, recordedLog } from '../../../src/testing/index.ts'
import { defaultTelemetry } from '../../../src/telemetry/config.ts'
import { otlpReceiver } from './otlp-receiver.ts'
import { exporting, startTraceServer, until } from './trace-server.ts'

const traces = { ...defaultTelemetry.traces, sampler: 'always_off' } as const

function storeAt(path: string, slowAfter = 60_000) {
  return { path, slowAfter, limits: { maxAge: 86_400_000, maxBytes: 1_048_576_000 } }
}

test('[TRC-12] the thread writes failed requests into the store, unsampled ones too', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'corral-traces-'))
  const path = join(folder, 'traces.db')
  await using collector = otlpReceiver()
  const at = await startTraceServer({ ...exporting(collector.url, { sampler: 'always_off' }), store: storeAt(path) })
  at.upstream.respond(() => chatReply())
  expect((await at.chat()).status).toBe(200)
  const failed = await at.chat({ model: 'p/' })
  expect(failed.status).toBe(404)
  await at[Symbol.asyncDispose]()
  expect(collector.requests).toEqual([])
  const database = new Database(path, { readonly: true })
  const rows = database.query('select trace_id from traces').all() as { trace_id: string }[]
  database.close()
  expect(rows.map((row) => row.trace_id)).toEqual([failed.headers.get('x-trace-id')!])
  await rm(folder, { recursive: true })
})

test('[TRC-6] a store that cannot be written is reported once, and serving continues', async () => {
  const log = recordedLog()
  await using at = await startTraceServer({ traces, store: storeAt('/proc/nowhere/traces.db', 0) }, { log })
  at.upstream.respond(() => chatReply())
  for (let count = 0; count < 3; count++) expect((await at.chat()).status).toBe(200)
  const reported = () => log.lines.filter((line) => line.message === 'dependency unavailable')
  await until(() => reported().length > 0)
  expect(JSON.stringify(reported())).toContain('trace store')
  expect(reported()).toHaveLength(1)
})
