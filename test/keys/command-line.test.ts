import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readCreateKeyOptions } from '../../src/cli/keys-input.ts'
import type { PostgresBackend, SqliteBackend } from '../../src/storage/config.ts'
import { engines, type FreshBackend } from '../../src/testing/engines.ts'
import { corral, inProcess, start } from '../cli/corral.ts'
import { secretsOf, until } from './server.ts'

const none = { name: 'x', as: undefined, attribute: [], model: [], api: [], expires: undefined, limit: [] }
const now = Date.UTC(2026, 10, 22)

describe('the options of `corral keys create`', () => {
  test('become what the same would be over HTTP', () => {
    expect(
      readCreateKeyOptions(
        {
          name: 'ci',
          as: 'search',
          attribute: ['teams=a', 'teams=b=c', 'roles=x'],
          model: ['groq/*'],
          api: ['inference'],
          expires: '90d',
          limit: [
            'requests=60/minute',
            'dollars=0.5/month',
            'total_tokens=7/day'.replace('total_', ''),
            'input-tokens=3/week',
            'concurrent=4',
          ],
        },
        now,
      ),
    ).toEqual({
      name: 'ci',
      principal: 'search',
      attributes: { teams: ['a', 'b=c'], roles: ['x'] },
      allowed_models: ['groq/*'],
      allowed_apis: ['inference'],
      expires_at: now / 1000 + 90 * 86_400,
      limits: [
        { requests: 60, period: 'minute' },
        { dollars: 0.5, period: 'month' },
        { total_tokens: 7, period: 'day' },
        { input_tokens: 3, period: 'week' },
        { concurrent_requests: 4 },
      ],
    })
    const limits = (limit: string[]) => readCreateKeyOptions({ ...none, limit }, now).limits
    for (const [written, short] of [
      ['total_tokens=7/day', 'tokens=7/day'],
      ['input_tokens=7/day', 'input-tokens=7/day'],
      ['output_tokens=7/day', 'output-tokens=7/day'],
      ['concurrent_requests=7', 'concurrent=7'],
    ] as const) {
      expect([written, limits([written])]).toEqual([written, limits([short])])
    }
    expect(limits(['total_tokens=7/day'])).toEqual([{ total_tokens: 7, period: 'day' }])
    expect(readCreateKeyOptions(none, now)).toEqual({ name: 'x', principal: 'x' })
    expect(readCreateKeyOptions({ ...none, expires: '2027-01-31' }, now).expires_at).toBe(Date.UTC(2027, 0, 31) / 1000)
    expect(readCreateKeyOptions({ ...none, expires: '12h' }, now).expires_at).toBe(now / 1000 + 43_200)
  })

  test('[KEY-9] what is wrong is said with the option that is', () => {
    const cases: [Partial<typeof none> | object, string][] = [
      [{ attribute: ['teams'] }, '--attribute'],
      [{ attribute: ['=a'] }, '--attribute'],
      [{ expires: 'soon' }, '--expires'],
      [{ expires: '2020-01-01' }, '--expires'],
      [{ limit: ['requests=60'] }, '--limit'],
      [{ limit: ['requests=sixty/minute'] }, '--limit'],
      [{ limit: ['apples=3/day'] }, '--limit'],
      [{ limit: ['requests=0/day'] }, '--limit'],
      [{ limit: ['requests=0.5/day'] }, 'requests must be an integer'],
      [{ limit: ['dollars=0.0000000001/day'] }, 'the minimum is 0.000000001 dollars'],
      [{ limit: ['concurrent=3/day'] }, '--limit'],
      [{ limit: ['constructor=3/day'] }, '--limit'],
      [{ name: ' ' }, '--name'],
      [{ as: 'a\nb' }, '--as'],
      [{ model: [''] }, '--model'],
    ]
    for (const [over, option] of cases) {
      expect(() => readCreateKeyOptions({ ...none, ...over }, now)).toThrow(option)
    }
  })
})

for (const engine of engines) {
  describe(`corral keys on ${engine.name}`, () => {
    let home = ''
    let place: FreshBackend<SqliteBackend | PostgresBackend>
    let config = ''
    beforeEach(async () => {
      home = mkdtempSync(join(tmpdir(), 'corral-keys-cli-'))
      place = await engine.fresh()
      config = join(home, 'run.yaml')
      writeFileSync(config, configuration(place.backend))
    })
    afterEach(async () => {
      await place[Symbol.asyncDispose]()
      rmSync(home, { recursive: true, force: true })
    })

    const run = (...words: string[]) => inProcess([...words, '--config', config], { cwd: home, env: { CORRAL_HOME: home } })
    const list = async (): Promise<Record<string, unknown>[]> => JSON.parse((await run('keys', 'list', '--json')).stdout)

    test('[KEY-11] the life of a key on the command line, seen by a server that runs', async () => {
      const server = start(['run', config, '--port', '0', '--json'], { cwd: home, env: { CORRAL_HOME: home } })
      try {
        const url = await addressOf(server)
        const status = async (token: string) => (await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${token}` } })).status

        const made = await corral(['keys', 'create', '--name', 'ci', '--as', 'search', '--attribute', 'teams=search', '--config', config], {
          cwd: home,
          env: { CORRAL_HOME: home },
        })
        expect({ code: made.code, stdout: made.stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^crl_[0-9a-f]{32}_\w{38}\n$/) })
        expect(made.stderr).toContain("created for principal 'search'")
        const token = made.stdout.trim()
        expect(await status(token)).toBe(200)

        const [key] = await list()
        expect(key).toMatchObject({ name: 'ci', principal: 'search', owner: 'search', attributes: { teams: ['search'] }, status: 'active' })
        const id = String(key?.['id'])
        expect((await run('keys', 'list')).stdout).toContain(id)

        const rotated = await run('keys', 'rotate', id, '--grace', '1h')
        const next = rotated.stdout.trim()
        expect(await status(next)).toBe(200)
        expect(await status(token)).toBe(200)

        // By the token itself, as somebody does who has found it.
        const revoked = await run('keys', 'revoke', next)
        expect(revoked).toMatchObject({ code: 0, stdout: `${id} (ci) is revoked.\n` })
        await until(async () => (await status(next)) === 401 && (await status(token)) === 401)
        expect((await list())[0]).toMatchObject({ id, status: 'revoked' })

        const audit = readFileSync(join(home, 'audit', 'cli-000001.jsonl'), 'utf8')
        const lines = audit
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as Record<string, unknown>)
        expect(lines.map(({ event }) => event)).toEqual(['api_key.created', 'api_key.rotated', 'api_key.revoked'])
        expect(lines.every(({ principal }) => String(principal).startsWith('os:'))).toBe(true)
        const served = join(home, 'audit', 'server-000001.jsonl')
        await until(() => existsSync(served) && readFileSync(served, 'utf8').includes(`API key ${id} is revoked`))
        const everything = audit + readFileSync(served, 'utf8') + made.stderr + rotated.stderr + JSON.stringify(await list())
        for (const one of [token, next]) for (const secret of secretsOf(one).slice(0, 3)) expect(everything).not.toContain(secret)
      } finally {
        server.kill('SIGKILL')
      }
    })

    test('[KEY-11] as JSON for machines, and mistakes with what to do', async () => {
      const made = await run('keys', 'create', '--name', 'x', '--json')
      const { value, ...info } = JSON.parse(made.stdout)
      expect(value).toMatch(/^crl_/)
      expect(await list()).toEqual([info])
      expect(await run('keys', 'create')).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('--name') })
      expect(await run('keys', 'create', '--name', 'x', '--api', 'inferense')).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringContaining("unknown API 'inferense'"),
      })
      expect(await run('keys', 'revoke', 'key_nothing')).toMatchObject({ code: 1, stderr: expect.stringContaining('not found') })
      expect(await run('keys', 'rotate', info.id, '--grace', '60d')).toMatchObject({ code: 2, stderr: expect.stringContaining('30d') })
    })
  })
}

function configuration(backend: SqliteBackend | PostgresBackend): string {
  const entry =
    backend.engine === 'sqlite'
      ? { type: 'sql_sqlite', db_path: backend.path }
      : {
          type: 'sql_postgres',
          host: backend.host,
          port: backend.port,
          db: backend.database,
          user: backend.user,
          password: backend.password?.reveal(),
          schema: backend.schema,
        }
  // JSON is YAML.
  return JSON.stringify({
    version: 2,
    distro_name: 'keys',
    providers: { inference: [] },
    storage: { backends: { sql_default: entry } },
    server: { auth: { provider_config: { type: 'api_key' } } },
  })
}

async function addressOf(server: ReturnType<typeof start>): Promise<string> {
  let text = ''
  server.stdout.on('data', (bytes: Buffer) => (text += bytes.toString()))
  let complaint = ''
  server.stderr.on('data', (bytes: Buffer) => (complaint += bytes.toString()))
  await until(() => {
    if (server.exitCode !== null) throw new Error(complaint)
    return text.includes('\n')
  })
  return (JSON.parse(text) as { url: string }).url
}

test('[KEY-11] without a configuration the keys are in Corral’s home folder, and missing authentication is reported', async () => {
  const home = mkdtempSync(join(tmpdir(), 'corral-keys-cli-'))
  try {
    const made = await inProcess(['keys', 'create', '--name', 'x'], { cwd: home, env: { CORRAL_HOME: home } })
    expect(made).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^crl_\w+\n$/),
      stderr: expect.stringContaining('no authentication'),
    })
    expect(['corral.db', 'key-pepper', 'audit'].filter((name) => existsSync(join(home, name)))).toEqual([
      'corral.db',
      'key-pepper',
      'audit',
    ])
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
})
