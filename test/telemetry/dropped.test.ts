import { Database } from 'bun:sqlite'
import { afterAll, describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { closeSync, constants, mkdirSync, mkdtempSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLedger } from '../../src/quota/ledger.ts'
import { openDatabase } from '../../src/storage/open.ts'
import { defaultTelemetry } from '../../src/telemetry/config.ts'
import { createLog } from '../../src/telemetry/logger.ts'
import { chatReply, providerOf, recordedLog, testConfig, testServer } from '../../src/testing/index.ts'
import { governed, usage } from '../quota/quota-server.ts'
import { dropped, untilDropped } from './dropped.ts'
import { startTraceServer } from './traces/trace-server.ts'

const folder = mkdtempSync(join(tmpdir(), 'corral-dropped-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const silently = { dependencyFailed: () => undefined, dependencyRecovered: () => undefined, warning: () => undefined }

describe('what is lost is counted, and nothing else is felt', () => {
  test.if(process.platform !== 'win32')('[OPS-7] lines of a log without a reader', async () => {
    const pipe = join(folder, 'pipe')
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0)
    // Both ends, so that it is open without a reader.
    const fd = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK)
    const log = createLog({ fd, format: 'json' })
    await using server = await testServer(testConfig(), { log })
    expect(await dropped(server, 'logs')).toBe(0)
    for (let at = 0; at < 10; at++) log.info({ text: 'x'.repeat(1_000_000) }, 'much')
    const before = await untilDropped(server, 'logs')
    for (let at = 0; at < 3; at++) expect((await server.fetch('/v1/models')).status).toBe(200)
    expect(await untilDropped(server, 'logs', before + 3)).toBeGreaterThanOrEqual(before + 3)
    await log.close?.()
    closeSync(fd)
  })

  test('[OPS-7] entries of an audit log whose folder is gone', async () => {
    const path = join(folder, 'audit')
    mkdirSync(path)
    const log = recordedLog()
    await using server = await testServer(testConfig({ providers: [providerOf('up', {})], audit: { folder: path } }), { log })
    expect(await dropped(server, 'audit')).toBe(0)
    renameSync(path, `${path}-away`)
    writeFileSync(path, '')
    const register = (model_id: string) =>
      server.fetch('/v1/models', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model_id, provider_id: 'up', provider_model_id: 'm' }),
      })
    expect((await register('own-1')).status).toBe(503)
    while (!log.lines.some(({ message }) => message.startsWith('the audit log cannot be written'))) await Bun.sleep(10)
    // Thousands more by the same event: by HTTP they would take a minute.
    const call = { requestId: 'r', principal: undefined, clientAddress: undefined, trace: undefined }
    const changes = Array.from({ length: 6_000 }, (_, at) =>
      server.services.events.resourceChanged({ call, event: 'model.created', resource: `model::m-${at}` }),
    )
    const outcomes = await Promise.allSettled(changes)
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true)
    expect(await untilDropped(server, 'audit', 1)).toBeGreaterThan(500)
    expect((await register('own-2')).status).toBe(503)
    expect((await server.fetch('/v1/models')).status).toBe(200)
    rmSync(path)
    renameSync(`${path}-away`, path)
  }, 60_000)

  test('[OPS-7] lines of a ledger whose database somebody else holds', async () => {
    const path = join(folder, 'ledger.db')
    const database = await openDatabase({ engine: 'sqlite', path })
    using holder = new Database(path)
    holder.run('BEGIN IMMEDIATE')
    const ledger = openLedger(database, { events: silently, maxBacklog: 3, flushInterval: 1, retryInterval: 1 })
    await using it = await governed({ quota: { limits: [] }, ledger })
    it.upstream.respond(() => chatReply('Hi.', usage(3, 2)))
    for (let at = 0; at < 10; at++) expect((await it.chat()).status).toBe(200)
    expect(await untilDropped(it.server, 'ledger', 7)).toBe(7)
    holder.run('ROLLBACK')
    await ledger.flush()
    await database[Symbol.asyncDispose]()
  })

  test('[OPS-7] spans of a trace store that cannot be written', async () => {
    writeFileSync(join(folder, 'file'), '')
    const store = { path: join(folder, 'file', 'traces.db'), slowAfter: 60_000, limits: { maxAge: 86_400_000, maxBytes: 1_048_576 } }
    const log = recordedLog()
    await using at = await startTraceServer({ traces: defaultTelemetry.traces, store }, { log })
    at.upstream.respond(() => chatReply())
    expect((await at.chat()).status).toBe(200)
    expect(await untilDropped(at.server, 'spans', 2)).toBe(2)
  })
})
