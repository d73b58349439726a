import { Database } from 'bun:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freeSpaceFinding } from '../../src/cli/doctor/files.ts'
import { databaseFinding } from '../../src/cli/doctor/storage.ts'
import { testConfig, testServer } from '../../src/testing/index.ts'
import { inProcess } from './corral.ts'

const key = 'sk-secret-of-the-doctors-test'

interface Finding {
  state: string
  subject: string
  message: string
  remedy?: string
}

let folder: string
let upstream: Server
let base: string
let skew = 0

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'corral-doctor-'))
  upstream = createServer((request, response) => {
    response.setHeader('date', new Date(Date.now() + skew).toUTCString())
    const refused = request.url?.startsWith('/refuses')
    if (request.url?.startsWith('/denies')) {
      response.writeHead(403, { 'content-type': 'application/json' })
      return response.end('{"error":{"message":"nope"}}')
    }
    response.writeHead(refused ? 401 : 200, { 'content-type': 'application/json' })
    if (refused) return response.end(JSON.stringify({ error: { message: `Incorrect \u001b[31mAPI key\nprovided: ${key}` } }))
    return response.end(request.url === '/jwks' ? '{"keys":[{"kty":"OKP"}]}' : '{"object":"list","data":[{"id":"m","object":"model"}]}')
  })
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
})
afterAll(async () => {
  upstream.closeAllConnections()
  upstream.close()
  await rm(folder, { recursive: true })
})

async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

interface Given {
  path?: string
  port?: number
  more?: string
}

let count = 0

/** What the doctor says of a file with one provider, and of a home of its own. */
async function doctor({ path = '/v1', port, more = '' }: Given = {}) {
  const home = join(folder, `home-${++count}`)
  await mkdir(home, { mode: 0o700 })
  const file = join(home, 'run.yaml')
  const text = `version: 2
image_name: test
providers:
  inference:
    - provider_id: up
      provider_type: remote::openai-compatible
      config: { base_url: '${base}${path}', api_key: ${key} }
server:
  port: ${port ?? (await closedPort())}
${more}`
  await writeFile(file, text)
  return { home, look: (env: Record<string, string> = {}) => report(file, { CORRAL_HOME: home, ...env }) }
}

async function report(file: string, env: Record<string, string>) {
  const { code, stdout, stderr } = await inProcess(['doctor', file, '--json'], { env })
  expect(stdout + stderr).not.toContain(key)
  const { ok, findings } = JSON.parse(stdout) as { ok: boolean; findings: Finding[] }
  // Whatever is not well comes with something to do about it.
  expect(findings.filter(({ state, remedy }) => state !== 'ok' && !remedy)).toEqual([])
  expect(code).toBe(ok ? 0 : 1)
  const of = (subject: string) => findings.filter((finding) => finding.subject === subject)
  return { ok, findings, of, states: (subject: string) => of(subject).map(({ state }) => state) }
}

describe('corral doctor', () => {
  test('[OPS-1] says of a sound server that all is well, a line for each thing', async () => {
    skew = 0
    const { home, look } = await doctor()
    const { ok, findings, states } = await look()
    expect(findings.filter(({ state }) => state === 'failed')).toEqual([])
    expect(ok).toBe(true)
    for (const subject of ['configuration', 'provider up', 'database', 'clock', "Corral's home"]) expect(states(subject)).toEqual(['ok'])
    const text = await inProcess(['doctor', join(home, 'run.yaml')], { env: { CORRAL_HOME: home } })
    expect(text.code).toBe(0)
    expect(text.stdout).toContain('✓ provider up: responds\n')
  })

  test('[OPS-1] says of a trace store that nothing could be kept in', async () => {
    const { home, look } = await doctor({ more: 'telemetry: { store: { enabled: true, path: STORE } }\n' })
    const file = join(home, 'run.yaml')
    const text = await readFile(file, 'utf8')
    const lookAt = async (path: string) => {
      await writeFile(file, text.replace('STORE', path))
      return (await look()).of('trace store')[0]
    }
    expect(await lookAt(join(home, 'none.db'))).toMatchObject({ state: 'ok' })
    await writeFile(join(home, 'noise.db'), 'noise'.repeat(2_000), { mode: 0o600 })
    expect(await lookAt(join(home, 'noise.db'))).toMatchObject({ state: 'failed', remedy: expect.stringContaining('Move') as string })
    using other = new Database(join(home, 'other.db'))
    other.run('create table customers (name text)')
    expect(await lookAt(join(home, 'other.db'))).toMatchObject({ state: 'failed', message: expect.stringContaining('else') as string })
    other.run('pragma user_version = 99')
    expect(await lookAt(join(home, 'other.db'))).toMatchObject({ state: 'failed', message: expect.stringContaining('newer') as string })
    await mkdir(join(home, 'folder'), { mode: 0o777 })
    expect(await lookAt(join(home, 'folder'))).toMatchObject({
      state: 'failed',
      message: expect.stringContaining('is not a file') as string,
    })
    // Closing somebody's folder to others would be no remedy.
    expect((await look()).findings.map(({ remedy }) => remedy ?? '').join()).not.toContain('chmod')
  })

  test('[OPS-1] says of a collector that it takes nothing, or cannot be reached', async () => {
    const otlp = (endpoint: string) => `telemetry: { otlp: { endpoint: '${endpoint}', headers: { authorization: ${key} } } }\n`
    const takes = await (await doctor({ more: otlp(base) })).look()
    expect([takes.states('trace collector'), takes.states('metrics collector')]).toEqual([['ok'], ['ok']])
    const refused = await (await doctor({ more: otlp(`${base}/refuses`) })).look()
    expect(refused.of('trace collector')[0]?.message).toContain('/refuses/v1/traces: the collector returned status 401')
    expect(refused.of('trace collector')[0]?.remedy).toContain('headers')
    const gone = await (await doctor({ more: otlp(`http://${key}:x@127.0.0.1:${await closedPort()}`) })).look()
    expect(gone.of('metrics collector')[0]).toMatchObject({ state: 'failed', remedy: expect.stringContaining('endpoint') as string })
    expect((await (await doctor()).look()).findings.map(({ subject }) => subject).join()).not.toContain('collector')
  })

  test('what a provider says neither steers the terminal nor begins a line', async () => {
    const { home } = await doctor({ path: '/refuses' })
    const { stdout } = await inProcess(['doctor', join(home, 'run.yaml')], { env: { CORRAL_HOME: home } })
    expect(stdout).toContain("✗ provider up: Provider 'up' returned 401: Incorrect �[31mAPI key provided: ***\n")
  })

  test('[OPS-1] says that a provider refuses its key, or cannot be reached, without the key', async () => {
    const refused = await (await doctor({ path: '/refuses' })).look()
    expect(refused.states('provider up')).toEqual(['failed'])
    expect(refused.of('provider up')[0]?.remedy).toContain('api_key')
    const denied = (await (await doctor({ path: '/denies' })).look()).of('provider up')[0]
    expect(denied).toMatchObject({ message: "Provider 'up' returned 403: nope", remedy: expect.stringContaining('api_key') as string })
    const gone = await (await doctor({ path: `@127.0.0.1:${await closedPort()}/v1` })).look()
    expect(gone.states('provider up')).toEqual(['failed'])
    expect(gone.of('provider up')[0]?.remedy).toContain('base_url')
  })

  test('[OPS-1] a configuration that does not load is the one finding, place and all', async () => {
    const { look } = await doctor({ more: '  workers: many\n' })
    const { findings, ok } = await look()
    expect(ok).toBe(false)
    expect(findings.map(({ subject }) => subject)).toEqual(['configuration'])
    expect(findings[0]?.message).toContain('server.workers')
  })

  test('[OPS-1] knows its own server from another program on the port', async () => {
    await using server = await testServer(testConfig())
    const own = await (await doctor({ port: Number(new URL(server.url).port) })).look()
    expect(own.findings.find(({ message }) => message === 'is in use by Corral')?.state).toBe('ok')
    const { port } = upstream.address() as AddressInfo
    const taken = await (await doctor({ port })).look()
    expect(taken.states(`port ${port}`)).toEqual(['failed'])
  })

  test('[OPS-1] reports a clock that differs from others', async () => {
    skew = -120_000
    const { of } = await (await doctor()).look()
    skew = 0
    expect(of('clock')[0]).toMatchObject({ state: 'warning', message: expect.stringMatching(/^is 1(19|20|21) s ahead of/) as string })
  })

  test('[OPS-1] reports files that others can read, and a folder that is not writable', async () => {
    const { home, look } = await doctor()
    await writeFile(join(home, 'key-pepper'), 'a pepper of the test, long enough')
    await chmod(join(home, 'key-pepper'), 0o644)
    const { of } = await look()
    expect(of('file modes')[0]).toMatchObject({ state: 'warning', remedy: `chmod 600 ${join(home, 'key-pepper')}` })
    await chmod(join(home, 'key-pepper'), 0o600)
    const log = join(home, 'corral.log')
    await writeFile(log, '', { mode: 0o640 })
    expect((await look({ CORRAL_LOG_FILE: log })).of('file modes')[0]).toMatchObject({ state: 'warning', remedy: `chmod 600 ${log}` })
    expect((await look({ CORRAL_LOG_FILE: '/dev/null' })).states('file modes')).toEqual(['ok'])
    expect(freeSpaceFinding({ subject: 'home', folder: '/x' }, 1e6).state).toBe('failed')
    expect(freeSpaceFinding({ subject: 'home', folder: '/x' }, 5e8).state).toBe('warning')
    expect(freeSpaceFinding({ subject: 'home', folder: '/x' }, 5e9).state).toBe('ok')
  })

  test('[OPS-1] reports unreachable identity services and stores', async () => {
    const closed = await closedPort()
    const auth = (uri: string) =>
      `  auth:\n    provider_config:\n      type: oauth2_token\n      issuer: ${base}\n      audience: a\n      jwks: { uri: '${uri}' }\n`
    const quota = `  quota:\n    kvstore: { backend: counters }\n    anonymous_max_requests: 5\nstorage:\n  backends:\n    counters: { type: kv_redis, host: 127.0.0.1, port: ${closed} }\n`
    const bad = await (await doctor({ more: auth(`http://127.0.0.1:${closed}/jwks`) + quota })).look()
    expect(bad.states(`identity service 127.0.0.1:${closed}`)).toEqual(['failed'])
    expect(bad.states('quota store')).toEqual(['failed'])
    const good = await (await doctor({ more: auth(`${base}/jwks`) })).look()
    expect(good.states(`identity service ${new URL(base).host}`)).toEqual(['ok'])
    const odd = await (await doctor({ more: auth(`${base}/v1`) })).look()
    expect(odd.states(`identity service ${new URL(base).host}`)).toEqual(['failed'])
  })

  test('[OPS-1] reports a database that is behind, ahead or invalid', async () => {
    const status = { engine: 'sqlite', place: 'x.db', newest: 3, tables: [], size: 0 } as const
    const states = [
      databaseFinding('database', { ...status, version: 3, pending: [] }),
      databaseFinding('database', { ...status, version: 2, pending: ['0003-later'] }),
      databaseFinding('database', { ...status, version: 4, pending: [] }),
    ].map(({ state }) => state)
    expect(states).toEqual(['ok', 'warning', 'failed'])
  })

  test('[OPS-1] reports missing and corrupt models', async () => {
    const models = join(folder, 'models')
    await mkdir(models, { mode: 0o700 })
    const facts = { source: 'test', sha256: createHash('sha256').update('whole').digest('hex'), pulledAt: '2026-01-01' }
    for (const [name, content] of [
      ['whole', 'whole'],
      ['torn', 'who'],
    ] as const) {
      await writeFile(join(models, `${name}.gguf`), content)
      await writeFile(join(models, `${name}.json`), JSON.stringify(facts))
    }
    const file = join(folder, 'embedded.yaml')
    const config = `{ models_dir: '${models}', model: absent }`
    const entry = `    - provider_id: embedded\n      provider_type: inline::llama-cpp\n      config: ${config}\n`
    await writeFile(file, `version: 2\nimage_name: test\nproviders:\n  inference:\n${entry}server:\n  port: ${await closedPort()}\n`)
    const { states } = await report(file, { CORRAL_HOME: folder })
    expect([states('model whole'), states('model torn'), states('provider embedded')]).toEqual([['ok'], ['failed'], ['failed']])
  })
})
