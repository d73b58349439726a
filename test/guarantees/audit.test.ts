import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Acknowledgements } from '../../src/telemetry/audit/acknowledgements.ts'
import { openAuditLog } from '../../src/telemetry/audit/open.ts'
import { engines } from '../../src/testing/engines.ts'
import { failureOf } from '../../src/testing/index.ts'
import { inProcess } from '../cli/corral.ts'
import { type KeyBench, keyBench } from '../keys/server.ts'

const keys = '/v1alpha/admin/keys'
const engine = engines[0]!

const textIn = (folder: string): string =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('')

describe('changes over HTTP', () => {
  let bench: KeyBench
  let token: string
  beforeEach(async () => {
    bench = await keyBench(engine)
    token = (await bench.issue({ name: 'root', principal: 'root', attributes: { roles: ['admin'] } })).token
  })
  afterEach(() => bench[Symbol.asyncDispose]())

  test('[GUA-1] have their audit log entry on disk when the response comes', async () => {
    const server = await bench.serve()
    const recorded = (event: string, resource: string) =>
      bench.auditLines().some((line) => line['event'] === event && line['resource'] === resource)
    await Promise.all(
      Array.from({ length: 8 }, async (_, at) => {
        const made = await server.ask(keys, { token, body: { name: `k${at}` } })
        const id = String(made.json['id'])
        expect([made.status, recorded('api_key.created', `api_key::${id}`)]).toEqual([200, true])
        const rotated = await server.ask(`${keys}/${id}/rotate`, { token, body: {} })
        expect([rotated.status, recorded('api_key.rotated', `api_key::${id}`)]).toEqual([200, true])
        // Twice at once: neither response comes before the entry.
        await Promise.all(
          [1, 2].map(async () => {
            const revoked = await server.ask(`${keys}/${id}`, { token, method: 'DELETE' })
            expect([revoked.status, recorded('api_key.revoked', `api_key::${id}`)]).toEqual([200, true])
          }),
        )
        const model = { model_id: `m${at}`, provider_id: 'up', provider_model_id: 'small' }
        const registered = await server.ask('/v1/models', { token, body: model })
        expect([registered.status, recorded('model.registered', `model::m${at}`)]).toEqual([200, true])
        const deleted = await server.ask(`/v1/models/m${at}`, { token, method: 'DELETE' })
        expect([deleted.status, recorded('model.deleted', `model::m${at}`)]).toEqual([200, true])
      }),
    )
  })

  test('[GUA-1] get 503 while the audit log cannot be written, and are recorded later', async () => {
    const server = await bench.serve()
    const made = await server.ask(keys, { token, body: { name: 'before' } })
    const folder = join(bench.home, 'audit')
    renameSync(folder, `${folder}-away`)
    writeFileSync(folder, '')
    const id = String(made.json['id'])
    for (const refused of [
      await server.ask(keys, { token, body: { name: 'during' } }),
      await server.ask('/v1/models', { token, body: { model_id: 'm', provider_id: 'up', provider_model_id: 'small' } }),
      await server.ask(`${keys}/${id}`, { token, method: 'DELETE' }),
      // The key is revoked by now, but its entry is still not on disk.
      await server.ask(`${keys}/${id}`, { token, method: 'DELETE' }),
    ]) {
      expect([refused.status, refused.json['error'].code]).toEqual([503, 'audit_log_unavailable'])
      expect(refused.headers.get('x-should-retry')).toBe('false')
      expect(refused.json['value']).toBeUndefined()
    }
    // Other requests go on.
    expect((await server.ask('/v1/models', { token })).status).toBe(200)
    rmSync(folder)
    renameSync(`${folder}-away`, folder)
    expect((await server.ask(keys, { token, body: { name: 'after' } })).status).toBe(200)
    const events = bench.auditLines().map(({ event }) => event)
    expect(events.filter((event) => event === 'api_key.created').length).toBe(3)
    expect(events).toContainValues(['model.registered', 'api_key.revoked'])
  })
})

test('[GUA-1] `corral keys` prints a key after its audit log entry is on disk', async () => {
  const home = mkdtempSync(join(tmpdir(), 'corral-audit-'))
  try {
    const audit = join(home, 'audit')
    const written: string[] = []
    const surroundings = { env: { CORRAL_HOME: home }, onOutput: () => written.push(textIn(audit)) }
    const made = await inProcess(['keys', 'create', '--name', 'ci'], surroundings)
    expect([made.code, made.stdout]).toEqual([0, expect.stringMatching(/^crl_/)])
    expect(written[0]).toContain('api_key.created')
    written.length = 0
    expect((await inProcess(['keys', 'revoke', made.stdout.trim()], surroundings)).code).toBe(0)
    expect(written[0]).toContain('api_key.revoked')
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
})

describe('the audit log', () => {
  test('[GUA-1] confirms an entry after its write, and rejects entries that cannot be written', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'corral-audit-'))
    const log = await openAuditLog({ folder, name: 'server' })
    for (let at = 0; at < 5; at++) {
      await log.recordDurably({ event: 'api_key.created', resource: `api_key::${at}` })
      expect(textIn(folder)).toContain(`api_key::${at}`)
    }
    await log.synced()
    await log[Symbol.asyncDispose]()
    expect(await failureOf(log.recordDurably({ event: 'api_key.created' }))).toMatchObject({ message: 'the audit log is closed' })
    rmSync(folder, { recursive: true })
  })

  test('[GUA-1] a write confirms the entries that it took, and none that came later', async () => {
    const acknowledgements = new Acknowledgements()
    const done: string[] = []
    const wait = (name: string) =>
      acknowledgements.wait().then(
        () => done.push(name),
        () => done.push(`${name} failed`),
      )
    await wait('nothing')
    acknowledgements.added()
    const first = wait('first')
    acknowledgements.taken()
    acknowledgements.added()
    const second = wait('second')
    acknowledgements.synced()
    await first
    expect(done).toEqual(['nothing', 'first'])
    acknowledgements.failed(new Error('no space'))
    await second
    // The failed attempt took nothing: the entry is still to be written.
    acknowledgements.synced()
    const third = wait('third')
    acknowledgements.taken()
    acknowledgements.synced()
    await third
    expect(done).toEqual(['nothing', 'first', 'second failed', 'third'])
  })
})
