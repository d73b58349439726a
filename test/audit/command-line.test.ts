import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openAuditLog } from '../../src/telemetry/audit/open.ts'
import { inProcess } from '../cli/corral.ts'

let home = ''
let folder = ''
let file = ''
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'corral-audit-cli-'))
  folder = join(home, 'audit')
  file = join(folder, 'server-000001.jsonl')
  for (const name of ['server', 'cli']) {
    await using log = await openAuditLog({ folder, name, clock: () => Date.UTC(2026, 10, 22, 12, name === 'cli' ? 30 : 0) })
    for (let n = 0; n < 5; n++) {
      log.record({ event: 'api_key.created', principal: n % 2 ? 'bob' : 'alice', resource: `api_key::key_${n}` })
    }
    log.record({ event: 'request.denied', principal: 'eve', status: 403, denied_by: 'route_policy', reason: 'rule 1 forbids it' })
  }
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

const run = (...words: string[]) => inProcess(['audit', ...words], { cwd: home, env: { CORRAL_HOME: home } })
const linesOf = (path: string) => readFileSync(path, 'utf8').split('\n').slice(0, -1)
const write = (lines: readonly string[]) => writeFileSync(file, lines.map((line) => `${line}\n`).join(''))

describe('corral audit verify', () => {
  test('[AUD-3] says that all chains of the folder hold, by itself and named', async () => {
    for (const words of [[], [folder], ['audit'], [file, join(folder, 'cli-000001.jsonl')]]) {
      const { code, stdout } = await run('verify', ...words)
      expect(code).toBe(0)
      expect(stdout).toContain('server is intact: 6 lines, 1 to 6, in 1 file')
      expect(stdout).toContain('cli is intact')
    }
    expect(JSON.parse((await run('verify', '--json')).stdout)).toMatchObject({
      ok: true,
      chains: [{ chain: 'cli' }, { chain: 'server', lines: 6, findings: [] }],
    })
  })

  test('[AUD-3] names file, line and what was done; exit code 1', async () => {
    const all = linesOf(file)
    const cases: [string[], string][] = [
      [all.with(2, (all[2] ?? '').replace('alice', 'mallo')), 'server-000001.jsonl:3: changed'],
      [all.toSpliced(1, 2), 'server-000001.jsonl:2: removed: line 2 to 3'],
      [all.toSpliced(3, 0, 'something else'), 'server-000001.jsonl:4: inserted'],
      [all.toSpliced(3, 0, all[1] ?? ''), 'server-000001.jsonl:4: inserted'],
      [all.with(1, all[2] ?? '').with(2, all[1] ?? ''), 'server-000001.jsonl:2: reordered'],
    ]
    for (const [lines, finding] of cases) {
      write(lines)
      const { code, stdout } = await run('verify')
      expect({ code, stdout }).toEqual({ code: 1, stdout: expect.stringContaining(finding) })
      expect(stdout).toContain('server is broken')
      expect(stdout).toContain('cli is intact')
      expect(JSON.parse((await run('verify', '--json')).stdout)).toMatchObject({ ok: false })
    }
    write(all)
    truncateSync(file, readFileSync(file).length - 10)
    expect(await run('verify')).toMatchObject({ code: 1, stdout: expect.stringContaining('server-000001.jsonl:6: torn') })
  })

  test('[AUD-4] a kept head shows what the chain alone cannot', async () => {
    const head = /head ([0-9a-f]{64})/.exec((await run('verify', file)).stdout)?.[1] ?? ''
    expect((await run('verify', '--head', head)).code).toBe(0)
    write(linesOf(file).slice(0, 4))
    expect((await run('verify')).code).toBe(0)
    expect(await run('verify', '--head', head)).toMatchObject({ code: 1, stderr: expect.stringContaining(head) })
    expect(JSON.parse((await run('verify', '--json', '--head', head)).stdout)).toMatchObject({ ok: false, missing_heads: [head] })
  })

  test('a part of a chain is checked for what it is', async () => {
    {
      await using log = await openAuditLog({ folder, name: 'server', maxFileBytes: 100 })
      log.record({ event: 'api_key.revoked' })
    }
    const second = join(folder, 'server-000002.jsonl')
    expect(await run('verify', second)).toMatchObject({ code: 0, stdout: expect.stringContaining('earlier lines were not checked') })
    appendFileSync(second, 'x')
    expect((await run('verify', second)).code).toBe(1)
  })

  test('what cannot be looked at is said', async () => {
    expect(await run('verify', 'nowhere')).toMatchObject({ code: 1, stderr: expect.stringContaining('no such file or folder') })
    writeFileSync(join(home, 'notes.txt'), '')
    expect(await run('verify', 'notes.txt')).toMatchObject({ code: 1, stderr: expect.stringContaining('is not an audit log file') })
    expect(await run('verify', home)).toMatchObject({ code: 1, stderr: expect.stringContaining('No audit log found') })
    writeFileSync(join(home, 'off.yaml'), 'version: 2\nproviders: {}\nserver: {audit: false}\n')
    expect(await run('verify', '--config', 'off.yaml')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('The audit log is disabled'),
    })
  })
})

const resources = async (...words: string[]): Promise<string[]> =>
  (await run('list', '--json', ...words)).stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => (JSON.parse(line) as { resource?: string }).resource ?? 'denied')

describe('corral audit list', () => {
  test('shows the latest lines of all chains, in order, filtered', async () => {
    expect((await resources()).length).toBe(12)
    expect(await resources('-n', '3')).toEqual(['api_key::key_3', 'api_key::key_4', 'denied'])
    expect((await resources('--event', 'request.denied')).length).toBe(2)
    expect(await resources('--principal', 'bob', '--since', '2026-11-22T12:15:00Z')).toEqual(['api_key::key_1', 'api_key::key_3'])
    expect(await resources('--key', 'key_4', file)).toEqual(['api_key::key_4'])
    const { stdout } = await run('tail', '-n', '1')
    expect(stdout).toMatch(/TIME .*\n2026-11-22T12:30:00 +request\.denied +403 +eve +rule 1 forbids it\n/)
    expect(await run('list', '--since', 'yesterday')).toMatchObject({ code: 2 })
  })
})
