import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { OpenAI } from 'openai'
import { loadConfig } from '../../src/config/load.ts'
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
const log = recordedLog()
let folder: string
let issuer: MockUpstream
let upstream: MockUpstream
let server: TestServer

const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 }

const yaml = (home: string) =>
  `
version: 2
providers:
  inference:
    - provider_id: mock
      provider_type: remote::openai
      config: { base_url: "${upstream.url}/v1", api_key: sk-operators-own }
server:
  auth:
    key_pepper: not-to-be-guessed-at-all
    provider_config:
      - type: oauth2_token
        issuer: https://idp.example
        audience: corral
        jwks: { uri: "${issuer.url}/jwks" }
    route_policy:
      - permit: { paths: [/v1/health, /readyz] }
      - permit: { paths: "/v1alpha/admin/*" }
        when: user with admin in roles
      - forbid: { paths: "/v1alpha/admin/*" }
      - permit: { paths: "*" }
    access_policy:
      - permit: { actions: [create, read, update, delete], resource: "api_key::*" }
        when: user with admin in roles
      - forbid: { actions: [read], resource: "model::mock/secret-model" }
        unless: user with admin in roles
      - permit: { actions: [create, read, update, delete] }
  quota:
    store: { db_path: quota.db }
    prices: [{ model: "*", input_per_million: 1000, output_per_million: 2000 }]
    limits:
      - { name: everybody's minute, per: user, requests: 100, total_tokens: 100000, period: hour }
      - { name: research, per: team, when: user with research in teams, dollars: 100, period: month }
storage:
  backends:
    main: { type: sql_sqlite, db_path: "${home}/corral.db" }
  stores:
    metadata: { backend: main }
`.replace('metadata: { backend: main }', 'inference: { backend: main }')

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'corral-governed-'))
  issuer = await mockUpstream()
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' }
  issuer.respond(() => jsonReply({ keys: [jwk] }))
  upstream = await mockUpstream()
  upstream.respond(({ path, json }) => {
    if (path === '/v1/models') return modelsReply(['small', 'secret-model'])
    return json?.stream ? chatStream() : chatReply('Hello there.', { usage })
  })
  const { config } = await loadConfig({ source: yaml(folder), env: { CORRAL_HOME: folder }, cwd: folder, home: folder })
  server = await testServer(config, { log })
})
afterAll(async () => {
  for (const part of [server, upstream, issuer]) await part[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

function tokenOf(subject: string, groups: string[]): Promise<string> {
  return new SignJWT({ groups, team: groups.includes('research') ? 'research' : 'other', username: groups.join(' ') })
    .setProtectedHeader({ alg: 'RS256', kid: 'k1' })
    .setIssuer('https://idp.example')
    .setAudience('corral')
    .setSubject(subject)
    .setExpirationTime('5m')
    .sign(privateKey)
}

const client = (apiKey: string) => new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries: 0 })
const hello = { messages: [{ role: 'user' as const, content: 'Hi' }], max_tokens: 20 }

/** Makes a key over the API, as an administrator of the identity provider does. */
async function makeKey(body: object): Promise<{ id: string; value: string }> {
  const answer = await server.fetch('/v1alpha/admin/keys', {
    method: 'POST',
    headers: { authorization: `Bearer ${await tokenOf('root', ['admin'])}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  expect(answer.status).toBe(200)
  return (await answer.json()) as { id: string; value: string }
}

const told = (message: string) => log.lines.filter((line) => line.message === message).map(({ fields }) => fields)

describe('a governed server and the official client', () => {
  test('a token of the identity provider chats, streamed and whole, and sees what it has left', async () => {
    const openai = client(await tokenOf('alice', ['research']))
    const { data, response } = await openai.chat.completions.create({ model: 'mock/small', ...hello }).withResponse()
    expect(data.choices[0]?.message.content).toBe('Hello there.')
    expect(Number(response.headers.get('x-ratelimit-limit-requests'))).toBe(100)
    expect(Number(response.headers.get('x-ratelimit-remaining-tokens'))).toBeLessThan(100_000)
    let text = ''
    for await (const chunk of await openai.chat.completions.create({ model: 'mock/small', ...hello, stream: true })) {
      text += chunk.choices[0]?.delta.content ?? ''
    }
    expect(text).toBe('Hello there.')
    expect(upstream.requests.at(-1)?.headers).toMatchObject({ authorization: 'Bearer sk-operators-own' })
  })

  test('what the policies do not permit is 403, or is not there', async () => {
    const openai = client(await tokenOf('bob', ['other']))
    expect(await failureOf(openai.models.retrieve('mock/secret-model'))).toMatchObject({ status: 404 })
    expect(await failureOf(openai.chat.completions.create({ model: 'mock/secret-model', ...hello }))).toMatchObject({ status: 404 })
    expect((await openai.models.list()).data.map(({ id }) => id)).toEqual(['mock/small'])
    expect((await server.fetch('/v1alpha/admin/keys', { headers: { 'x-api-key': await tokenOf('bob', ['other']) } })).status).toBe(403)
    const admin = client(await tokenOf('root', ['admin']))
    expect((await admin.models.list()).data.map(({ id }) => id).toSorted()).toEqual(['mock/secret-model', 'mock/small'])
  })

  test('a key of the server’s own does what it is made for, until it is used up or revoked', async () => {
    const wanted = { name: 'ci', principal: 'ci', attributes: { teams: ['research'] }, allowed_apis: ['inference'] }
    const { id, value } = await makeKey({ ...wanted, allowed_models: ['mock/sm*'], limits: [{ requests: 3, period: 'day' }] })
    const openai = client(value)
    expect((await openai.chat.completions.create({ model: 'mock/small', ...hello })).choices).toHaveLength(1)
    expect(await failureOf(openai.models.list())).toMatchObject({ status: 403 })
    expect(await failureOf(openai.chat.completions.create({ model: 'mock/secret-model', ...hello }))).toMatchObject({ status: 404 })
    expect((await openai.chat.completions.create({ model: 'mock/small', ...hello })).choices).toHaveLength(1)
    expect(await failureOf(openai.chat.completions.create({ model: 'mock/small', ...hello }))).toMatchObject({ status: 429 })
    const admin = { authorization: `Bearer ${await tokenOf('root', ['admin'])}` }
    expect((await server.fetch(`/v1alpha/admin/keys/${id}`, { method: 'DELETE', headers: admin })).status).toBe(200)
    expect(await failureOf(openai.chat.completions.create({ model: 'mock/small', ...hello }))).toMatchObject({ status: 401 })
  })

  test('tokens that are none, and two credentials at once', async () => {
    expect(await failureOf(client('sk-anything').models.list())).toMatchObject({ status: 401 })
    expect(await failureOf(client('crl_nonsense').models.list())).toMatchObject({ status: 401 })
    const both = { authorization: `Bearer ${await tokenOf('alice', [])}`, 'x-api-key': 'another' }
    expect((await server.fetch('/v1/models', { headers: both })).status).toBe(400)
  })

  test('the log and the audit log say who was refused and why, without a secret', async () => {
    const denials = told('request').filter((line) => 'denied_by' in line)
    expect(new Set(denials.map((line) => line['denied_by']))).toEqual(
      new Set(['access_policy', 'authentication', 'key', 'quota', 'route_policy']),
    )
    await server[Symbol.asyncDispose]()
    const audited = await Promise.all((await readdir(join(folder, 'audit'))).map((name) => readFile(join(folder, 'audit', name), 'utf8')))
    const lines = audited.join('\n')
    for (const event of ['policy.loaded', 'request.denied', 'api_key.created', 'api_key.revoked']) expect(lines).toContain(`"${event}"`)
    for (const text of [lines, JSON.stringify(log.lines)]) expect(text.match(/crl_[\w-]{20,}|eyJ[\w-]{20,}|sk-operators-own/)).toBeNull()
  })
})
