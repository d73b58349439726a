import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AuditEntry } from '../../src/telemetry/audit/audit-log.ts'
import { type AuditLogOptions, openAuditLog } from '../../src/telemetry/audit/open.ts'
import { type ChainReport, verifyChain } from '../../src/telemetry/audit/verify.ts'
import { failureOf } from '../../src/testing/failure-of.ts'
import { recordedLog } from '../../src/testing/recorded-log.ts'

let folder = ''
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'corral-audit-'))))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const open = (options: Partial<AuditLogOptions> = {}) => openAuditLog({ folder, name: 'server', ...options })
const created = (n: number): AuditEntry => ({ event: 'api_key.created', principal: 'alice', resource: `api_key::key_${n}` })
const denial: AuditEntry = { event: 'request.denied', status: 401, denied_by: 'authentication', reason: 'token expired' }

const files = (): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .toSorted()
const pathOf = (name: string): string => join(folder, name)

interface Line extends Record<string, unknown> {
  seq: number
  event: string
  count?: number
}

const linesOf = (names = files()): Line[] =>
  names.flatMap((name) =>
    readFileSync(pathOf(name), 'utf8')
      .split('\n')
      .filter((text) => text.startsWith('{"seq":') && text.endsWith('"}'))
      .map((text) => JSON.parse(text) as Line),
  )

function verified(chain = 'server'): Promise<ChainReport> {
  const own = files().filter((name) => name.startsWith(`${chain}-`))
  return verifyChain(
    chain,
    own.map((name) => ({ name, bytes: readFileSync(pathOf(name)) })),
  )
}

describe('what is recorded', () => {
  test('[AUD-1] every entry is a line of JSON, chained to the one before, in a file for the owner alone', async () => {
    await using log = await open({ clock: () => Date.UTC(2026, 10, 22) })
    for (let n = 0; n < 3; n++) log.record(created(n))
    log.record({ ...denial, request_id: 'req_1', client_address: '192.0.2.1' })
    expect(await log.flush()).toBe(true)
    const lines = linesOf()
    expect(lines.map(({ seq }) => seq)).toEqual([1, 2, 3, 4])
    expect(lines.map(({ prev }) => prev)).toEqual(['0'.repeat(64), ...lines.slice(0, 3).map(({ hash }) => hash)])
    expect(lines[3]).toMatchObject({ ...denial, time: '2026-11-22T00:00:00.000Z', request_id: 'req_1', client_address: '192.0.2.1' })
    expect(statSync(pathOf('server-000001.jsonl')).mode & 0o777).toBe(0o600)
    expect((await verified()).findings).toEqual([])
  })

  test('an entry cannot pass for another place of the chain, nor make a line too long', async () => {
    await using log = await open()
    const tricky = { ...created(1), seq: 99, prev: 'x', hash: 'y', detail: { text: 'z'.repeat(100_000) }, reason: 'r'.repeat(100_000) }
    log.record(tricky)
    log.record({ ...created(2), detail: circular() })
    await log.flush()
    const [first, second] = linesOf()
    expect(first).toMatchObject({ seq: 1, detail: { left_out: expect.stringContaining('characters') } })
    expect(String(first?.['reason']).length).toBeLessThan(1_100)
    expect(second).toMatchObject({ detail: { left_out: 'no JSON (TypeError)' } })
    expect((await verified()).findings).toEqual([])
  })

  test('entries after the end are reported in the log', async () => {
    const reported = recordedLog()
    const log = await open({ log: reported })
    await log[Symbol.asyncDispose]()
    log.record(created(1))
    expect(reported.lines).toMatchObject([{ level: 'error', message: 'too late for the audit log: it is closed' }])
  })
})

function circular(): Record<string, unknown> {
  const detail: Record<string, unknown> = {}
  detail['self'] = detail
  return detail
}

describe('a flood', () => {
  test('[AUD-5] of identical denials is merged with a count, and nothing is missing', async () => {
    let now = Date.UTC(2026, 10, 22)
    await using log = await open({ clock: () => now })
    for (let n = 0; n < 10_000; n++) {
      if (n % 100 === 0) now++
      log.record({ ...denial, request_id: `req_${n}` })
    }
    await log.flush()
    const lines = linesOf()
    expect(lines.length).toBe(101)
    expect(lines.reduce((sum, { count = 1 }) => sum + count, 0)).toBe(10_000)
    expect(lines.at(-1)).toMatchObject({ count: 9_900, until: '2026-11-22T00:00:00.100Z' })
  })

  test('[AUD-5] of denials that all differ takes bounded memory and lines, and none vanishes', async () => {
    await using log = await open({ clock: () => 0 })
    for (let n = 0; n < 50_000; n++) {
      log.record({ ...denial, action: `GET /${n}`, client_address: `198.51.${n % 256}.${(n >> 8) % 256}`, status: n % 2 ? 401 : 403 })
      if (n % 1_000 === 0) log.record(created(n))
    }
    await log.flush()
    const lines = linesOf()
    expect(lines.length).toBeLessThan(2_000)
    const denials = lines.filter(({ event }) => event === 'request.denied')
    expect(denials.reduce((sum, { count = 1 }) => sum + count, 0)).toBe(50_000)
    expect(lines.filter(({ event }) => event === 'api_key.created').length).toBe(50)
  })

  test('merged denials come once their second is over, by themselves', async () => {
    let now = 0
    await using log = await open({ clock: () => now })
    for (let n = 0; n < 150; n++) log.record(denial)
    await until(() => linesOf().length >= 100)
    now = 1_000
    log.record(created(1))
    await until(() => linesOf().length === 102)
    expect(linesOf().find(({ count }) => count === 50)).toBeDefined()
  })
})

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

describe('several processes, and one after another', () => {
  test('[AUD-2] a chain goes on after a restart', async () => {
    for (let n = 0; n < 3; n++) {
      await using log = await open()
      log.record(created(n))
    }
    expect(files()).toEqual(['server-000001.jsonl'])
    expect(await verified()).toMatchObject({ lines: 3, findings: [], notes: [] })
  })

  test('[AUD-2] a process that finds a chain in use starts its own', async () => {
    await using one = await open()
    await using two = await open()
    expect([one.chain, two.chain]).toEqual(['server', 'server.2'])
    one.record(created(1))
    two.record(created(2))
    await Promise.all([one.flush(), two.flush()])
    expect(files()).toEqual(['server-000001.jsonl', 'server.2-000001.jsonl'])
    expect([(await verified()).lines, (await verified('server.2')).lines]).toEqual([1, 1])
  })

  test('[AUD-2] the claim of a process that is gone is void for exactly one of those that claim at the same time', async () => {
    const gone = { pid: 2 ** 22 + 1, host: (await import('node:os')).hostname(), began: '1', nonce: 'x' }
    writeFileSync(pathOf('server.lock'), JSON.stringify(gone))
    await using logs = new AsyncDisposableStack()
    const opened = await Promise.all(Array.from({ length: 5 }, async () => logs.use(await open()).chain))
    expect(opened.filter((chain) => chain === 'server').length).toBe(1)
    expect(new Set(opened).size).toBe(5)
  })

  test('the claim of another host is void after two minutes without a sign of life', async () => {
    const elsewhere = { pid: 1, host: 'elsewhere.example', began: null, nonce: 'x' }
    writeFileSync(pathOf('server.lock'), JSON.stringify(elsewhere))
    const first = await open()
    expect(first.chain).toBe('server.2')
    await first[Symbol.asyncDispose]()
    const old = new Date(Date.now() - 121_000)
    utimesSync(pathOf('server.lock'), old, old)
    await using second = await open()
    expect(second.chain).toBe('server')
  })

  test('[AUD-2] a torn last line stays, is reported, and is closed by a marker', async () => {
    {
      await using log = await open()
      log.record(created(1))
      log.record(created(2))
    }
    const path = pathOf('server-000001.jsonl')
    truncateSync(path, statSync(path).size - 30)
    expect(await verified()).toMatchObject({ findings: [{ file: 'server-000001.jsonl', line: 2, why: 'torn' }] })
    const reported = recordedLog()
    {
      await using log = await open({ log: reported })
      log.record(created(3))
    }
    expect(reported.lines).toMatchObject([{ level: 'warn', fields: { file: 'server-000001.jsonl' } }])
    expect(linesOf().map(({ event }) => event)).toEqual(['api_key.created', 'audit.torn', 'api_key.created'])
    const report = await verified()
    expect(report).toMatchObject({ findings: [], notes: [expect.stringContaining('torn by a crash')] })

    // What is left of it is covered as well.
    const bytes = readFileSync(path)
    const fragment = bytes.indexOf(0x0a) + 5
    bytes[fragment] = bytes[fragment]! ^ 1
    writeFileSync(path, bytes)
    expect(await verified()).toMatchObject({ findings: [{ line: 2, why: 'changed' }] })
  })

  test('a last line that was changed does not pass for one that was torn', async () => {
    {
      await using log = await open()
      log.record(created(1))
      log.record(created(2))
    }
    const path = pathOf('server-000001.jsonl')
    writeFileSync(path, readFileSync(path, 'utf8').replace('key_2', 'key_9'))
    {
      await using log = await open()
      log.record(created(3))
    }
    expect(await verified()).toMatchObject({ findings: [{ line: 2, why: 'changed' }] })
  })
})

describe('files', () => {
  test('[AUD-6] the chain goes on over files of the size that is wanted', async () => {
    await using log = await open({ maxFileBytes: 1_000 })
    for (let n = 0; n < 20; n++) {
      log.record(created(n))
      await log.flush()
    }
    expect(files().length).toBeGreaterThan(4)
    expect(files().every((name) => statSync(pathOf(name)).size < 2_000)).toBe(true)
    expect((await verified()).findings).toEqual([])
    expect(linesOf().filter(({ event }) => event === 'api_key.created').length).toBe(20)
  })

  test('[AUD-6] old files are removed as configured, and the chain says so', async () => {
    await using log = await open({ maxFileBytes: 600, keepFiles: 3 })
    for (let n = 0; n < 30; n++) {
      log.record(created(n))
      await log.flush()
    }
    expect(files().length).toBe(3)
    const report = await verified()
    expect(report.findings).toEqual([])
    expect(report.first).toBeGreaterThan(1)
    // A further missing file must have been deleted by someone else.
    rmSync(pathOf(files()[0]!))
    expect(await verified()).toMatchObject({ findings: [{ why: 'removed' }] })
  })

  test('[AUD-6] files older than the days to keep are removed at start', async () => {
    {
      await using log = await open({ maxFileBytes: 600 })
      for (let n = 0; n < 10; n++) {
        log.record(created(n))
        await log.flush()
      }
    }
    const before = files()
    const old = new Date(Date.now() - 40 * 86_400_000)
    for (const name of before.slice(0, 2)) utimesSync(pathOf(name), old, old)
    await (await open({ keepDays: 30 }))[Symbol.asyncDispose]()
    expect(files()).toEqual(before.slice(2))
    expect((await verified()).findings).toEqual([])
  })

  test('a restart between the old file and the new one loses nothing', async () => {
    {
      await using log = await open({ maxFileBytes: 100 })
      log.record(created(1))
      await log.flush()
      log.record(created(2))
    }
    expect(files().length).toBe(2)
    writeFileSync(pathOf('server-000002.jsonl'), '')
    {
      await using log = await open()
      log.record(created(3))
    }
    expect(files()).toEqual(['server-000001.jsonl', 'server-000002.jsonl'])
    expect((await verified()).findings).toEqual([])
  })
})

describe('when it cannot be written', () => {
  test('[AUD-7] what comes meanwhile is kept, counted where it is too much, and reported in the chain', async () => {
    const reported = recordedLog()
    await using log = await open({ log: reported, name: 'server' })
    log.record(created(0))
    await log.flush()
    // The file can be neither found nor made anew.
    renameSync(folder, `${folder}.away`)
    for (let n = 0; n < 6_000; n++) log.record(created(n))
    for (let n = 0; n < 6_000; n++) log.record(denial)
    expect(await log.flush()).toBe(false)
    for (let n = 0; n < 6_000; n++) log.record(created(n))
    expect(reported.lines.map(({ level, message }) => `${level}: ${message}`)).toEqual([
      'error: the audit log cannot be written: entries are kept and tried again',
    ])
    renameSync(`${folder}.away`, folder)
    await until(() => reported.lines.length === 2)
    expect(await log.flush()).toBe(true)
    expect(reported.lines[1]?.message).toBe('the audit log is written again')
    const lines = linesOf()
    const lost = lines.filter(({ event }) => event === 'audit.lost').map(({ detail }) => (detail as { lost: number }).lost)
    const changes = lines.filter(({ event }) => event === 'api_key.created').length
    expect(lost.reduce((sum, count) => sum + count, 0) + changes).toBe(12_001)
    const denials = lines.filter(({ event }) => event === 'request.denied')
    expect(denials.reduce((sum, { count = 1 }) => sum + count, 0)).toBe(6_000)
    expect((await verified()).findings).toEqual([])
  })

  test('a folder that cannot be made is an error at start', async () => {
    writeFileSync(pathOf('file'), '')
    expect(await failureOf(openAuditLog({ folder: pathOf('file'), name: 'server' }))).toBeInstanceOf(Error)
  })

  test('[AUD-7] a file that is moved away or written to by others: the chain goes on elsewhere, and the break is seen', async () => {
    const reported = recordedLog()
    await using log = await open({ log: reported })
    log.record(created(1))
    await log.flush()
    appendFileSync(pathOf('server-000001.jsonl'), 'forged\n')
    log.record(created(2))
    await log.flush()
    expect(linesOf().map(({ event }) => event)).toEqual(['api_key.created', 'audit.disturbed', 'api_key.created'])
    expect(reported.lines).toMatchObject([{ level: 'warn', fields: { found: expect.stringContaining('bytes') } }])
    expect(await verified()).toMatchObject({ findings: [{ file: 'server-000001.jsonl', line: 2, why: 'inserted' }] })
    rmSync(pathOf('server-000002.jsonl'))
    log.record(created(3))
    await log.flush()
    const report = await verified()
    expect(report.findings.map(({ why }) => why)).toContain('removed')
    expect(report.notes).toEqual([expect.stringContaining('moved or removed')])
  })
})
