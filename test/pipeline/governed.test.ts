import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { OpenAI } from 'openai'
import { loadConfig } from '../../src/config/load.ts'
import type { QuotaStoreConfig } from '../../src/quota/config.ts'
import type { Backend } from '../../src/storage/config.ts'
import { openDatabase } from '../../src/storage/open.ts'
import { engines, redis, type FreshBackend, type TestEngine } from '../../src/testing/engines.ts'
import {
  chatReply,
  chatStream,
  failureOf,
  jsonReply,
  mockUpstream,
  modelsReply,
  recordedLog,
  testServer,
  type MockUpstream,
  type TestServer,
} from '../../src/testing/index.ts'

const { privateKey, publicKey } = await generateKeyPair('RS256')
const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 }
const hello = { messages: [{ role: 'user' as const, content: 'Hi' }], max_tokens: 20 }

const yaml = (upstream: string, issuer: string) => `
version: 2
providers:
  inference:
    - provider_id: mock
      provider_type: remote::openai
      config: { base_url: "${upstream}/v1", api_key: sk-operators-own }
server:
  auth:
    key_pepper: not-to-be-guessed-at-all
    provider_config:
      type: oauth2_token
      issuer: https://idp.example
      audience: corral
      jwks: { uri: "${issuer}/jwks" }
    route_policy:
      - permit: { paths: [/v1/health, /readyz] }
      - forbid: { paths: "/v1alpha/admin/*" }
        unless: user with admin in roles
      - permit: { paths: "*" }
    access_policy:
      - permit: { actions: [create, read, update, delete] }
        when: user with admin in roles
      - forbid: { actions: [read], resource: "model::mock/secret-model" }
      - permit: { actions: [create, read, update, delete], resource: "model::*" }
  quota:
    prices: [{ model: "*", input_per_million: 1000, output_per_million: 2000 }]
    limits:
      - { name: everybody's hour, per: user, requests: 100, total_tokens: 100000, period: hour }
      - { name: research, per: team, when: user with research in teams, dollars: 100, period: month }
`

function tokenOf(subject: string, team = 'none'): Promise<string> {
  return new SignJWT({ team })
    .setProtectedHeader({ alg: 'RS256', kid: 'k1' })
    .setIssuer('https://idp.example')
    .setAudience('corral')
    .setSubject(subject)
    .setExpirationTime('5m')
    .sign(privateKey)
}

/** Repeats a request until the response is the expected one. */
async function until(expected: unknown, ask: () => Promise<unknown>): Promise<void> {
  const deadline = performance.now() + 10_000
  for (;;) {
    const response = await ask()
    if (response === expected) return
    if (performance.now() > deadline) expect(response).toBe(expected)
    await Bun.sleep(20)
  }
}

const stores: [name: string, engine: TestEngine, counters: Backend | undefined][] = [
  ...engines.map((engine): [string, TestEngine, undefined] => [`over ${engine.name}`, engine, undefined]),
  ...(redis ? [['over sqlite and redis', engines[0] as TestEngine, redis.backend] as [string, TestEngine, Backend]] : []),
]

describe.each(stores)('two governed servers %s, and the official client', (_name, engine, counters) => {
  const log = recordedLog()
  let folder: string
  let place: FreshBackend<Exclude<Backend, { engine: 'redis' }>>
  let issuer: MockUpstream
  let upstream: MockUpstream
  let server: TestServer
  let replica: TestServer
  /** Responses of models so far, all of the same size. */
  let responded = 0

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'corral-governed-'))
    place = await engine.fresh()
    issuer = await mockUpstream()
    const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' }
    issuer.respond(() => jsonReply({ keys: [jwk] }))
    upstream = await mockUpstream()
    upstream.respond(({ path, json }) => {
      if (path === '/v1/models') return modelsReply(['small', 'secret-model'])
      return json?.stream ? chatStream() : chatReply('Hello there.', { usage })
    })
    const source = yaml(upstream.url, issuer.url)
    const { config } = await loadConfig({ source, env: { CORRAL_HOME: folder }, cwd: folder, home: folder })
    const storage = { backends: { counters: counters ?? place.backend }, records: place.backend, recordsConfigured: true }
    const store: QuotaStoreConfig = { backend: 'counters', namespace: redis?.freshPrefix() ?? 'test' }
    const shared = { ...config, storage, quota: { ...config.quota, store } }
    server = await testServer(shared, { log, name: 'one' })
    replica = await testServer(shared, { log, name: 'other' })
  })
  afterAll(async () => {
    for (const part of [server, replica, upstream, issuer, place]) await part[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })

  const client = (apiKey: string, at = server) => new OpenAI({ baseURL: `${at.url}/v1`, apiKey, maxRetries: 0 })

  async function chat(openai: OpenAI, model = 'mock/small'): Promise<string | null | undefined> {
    const completion = await openai.chat.completions.create({ model, ...hello })
    responded += 1
    return completion.choices[0]?.message.content
  }

  /** As an administrator of the identity provider asks. */
  async function administer(path: string, method: string, body?: object): Promise<Record<string, string>> {
    const headers = { authorization: `Bearer ${await tokenOf('admin')}`, 'content-type': 'application/json' }
    const response = await server.fetch(`/v1alpha/admin/keys${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) })
    expect(response.status).toBe(200)
    return (await response.json()) as Record<string, string>
  }

  test('a token of the identity provider chats, streamed and whole, and sees what it has left', async () => {
    const openai = client(await tokenOf('alice', 'research'))
    const { data, response } = await openai.chat.completions.create({ model: 'mock/small', ...hello }).withResponse()
    responded += 1
    expect(data.choices[0]?.message.content).toBe('Hello there.')
    expect(response.headers.get('x-ratelimit-limit-requests')).toBe('100')
    expect(Number(response.headers.get('x-ratelimit-remaining-tokens'))).toBeLessThan(100_000)
    let text = ''
    for await (const chunk of await openai.chat.completions.create({ model: 'mock/small', ...hello, stream: true })) {
      text += chunk.choices[0]?.delta.content ?? ''
    }
    expect(text).toBe('Hello there.')
    expect(upstream.requests.at(-1)?.headers).toMatchObject({ authorization: 'Bearer sk-operators-own' })
  })

  test('what the policies do not permit is 403, or is not there', async () => {
    const openai = client(await tokenOf('bob'))
    expect(await failureOf(openai.models.retrieve('mock/secret-model'))).toMatchObject({ status: 404 })
    expect(await failureOf(openai.chat.completions.create({ model: 'mock/secret-model', ...hello }))).toMatchObject({ status: 404 })
    expect((await openai.models.list()).data.map(({ id }) => id)).toEqual(['mock/small'])
    expect((await server.fetch('/v1alpha/admin/keys', { headers: { 'x-api-key': await tokenOf('bob') } })).status).toBe(403)
    const admin = client(await tokenOf('admin'))
    expect((await admin.models.list()).data.map(({ id }) => id).toSorted()).toEqual(['mock/secret-model', 'mock/small'])
  })

  test('a key of the server’s own does what it is made for, at both, until it is used up or revoked', async () => {
    const wanted = { name: 'ci', principal: 'ci', attributes: { teams: ['research'] }, allowed_apis: ['inference'] }
    const limits = [{ name: 'ci, daily', requests: 3, period: 'day' }]
    const { id, value = '' } = await administer('', 'POST', { ...wanted, allowed_models: ['mock/sm*'], limits })
    expect(await failureOf(client(value).models.list())).toMatchObject({ status: 403 })
    expect(await failureOf(client(value).chat.completions.create({ model: 'mock/secret-model', ...hello }))).toMatchObject({ status: 404 })
    expect(await chat(client(value))).toBe('Hello there.')
    await until('Hello there.', () => chat(client(value, replica)).catch(() => undefined))
    const refused = await failureOf(client(value, replica).chat.completions.create({ model: 'mock/small', ...hello }))
    expect(refused).toMatchObject({ status: 429, message: expect.stringContaining('ci, daily') })
    await administer(`/${id}`, 'DELETE')
    expect(await failureOf(client(value).chat.completions.create({ model: 'mock/small', ...hello }))).toMatchObject({ status: 401 })
    await until(401, async () => ((await failureOf(client(value, replica).models.list())) as { status: number }).status)
  })

  test('tokens that are none, and two credentials at once', async () => {
    for (const token of ['sk-anything', 'crl_invalid']) expect(await failureOf(client(token).models.list())).toMatchObject({ status: 401 })
    const both = { authorization: `Bearer ${await tokenOf('alice')}`, 'x-api-key': 'another' }
    expect((await server.fetch('/v1/models', { headers: both })).status).toBe(400)
  })

  test('[PIP-15] the logs say who was refused and why, without a secret, and the ledger adds up', async () => {
    const denials = log.lines.filter(({ message, fields }) => message === 'request' && fields['denied_by'] !== undefined)
    expect([...new Set(denials.map(({ fields }) => String(fields['denied_by'])))].toSorted()).toEqual([
      'access_policy',
      'authentication',
      'key',
      'quota',
      'route_policy',
    ])
    for (const part of [server, replica]) await part[Symbol.asyncDispose]()
    const names = await readdir(join(folder, 'audit'))
    const audited = (await Promise.all(names.map((name) => readFile(join(folder, 'audit', name), 'utf8')))).join('\n')
    for (const event of ['policy.loaded', 'request.denied', 'api_key.created', 'api_key.revoked']) expect(audited).toContain(`"${event}"`)
    for (const text of [audited, JSON.stringify(log.lines)]) {
      expect(text.match(/crl_[\w-]{20,}|eyJ[\w-]{20,}|sk-operators-own|not-to-be-guessed/)).toBeNull()
    }
    await using database = await openDatabase(place.backend)
    const rows = await database.read.selectFrom('ledger').selectAll().execute()
    const whole = rows.filter(({ input_tokens, output_tokens }) => input_tokens === 10 && output_tokens === 5)
    expect(whole.map(({ cost_nano_dollars }) => cost_nano_dollars)).toEqual(Array.from({ length: responded }, () => 20_000_000))
    expect([rows.length, new Set(rows.map(({ principal }) => principal))]).toEqual([responded + 1, new Set(['alice', 'ci'])])
  })
})
