import { describe, expect, test } from 'bun:test'
import { providerDefinitions } from '../../src/providers/index.ts'
import { chatReply, jsonReply, mockUpstream } from '../../src/testing/index.ts'
import { chat, chatPath, errorOf, listedTypes, startProvider } from './provider-server.ts'
import { callerKey, operatorKey } from './remote-cases.ts'

const azureConfig = (url: string) => ({
  base_url: `${url}/operator`,
  api_key: operatorKey,
  network: { headers: { 'x-operator': 'secret-header' } },
})

describe('Azure: a caller may name a resource of its own', () => {
  test('[PRV-5] with its own key, and nothing of the operator’s', async () => {
    await using stage = await startProvider('remote::azure', azureConfig)
    await using other = await mockUpstream()
    other.respond(() => chatReply())
    const response = await stage.post(chatPath, chat, { azure_api_base: other.url, azure_api_key: callerKey, azure_api_version: 'v' })
    expect(response.status).toBe(200)
    expect(other.requests.find(({ method }) => method === 'POST')).toMatchObject({
      path: '/openai/v1/chat/completions',
      headers: { 'api-key': callerKey },
    })
    expect(JSON.stringify(other.requests)).not.toMatch(/operator|secret-header/)
    expect(stage.requests()).toEqual([])
  })

  test('without its own key: 400, and nothing is sent anywhere', async () => {
    await using stage = await startProvider('remote::azure', azureConfig)
    await using other = await mockUpstream()
    const response = await stage.post(chatPath, chat, { azure_api_base: other.url })
    expect(response.status).toBe(400)
    expect((await errorOf(response)).message).toContain('azure_api_key')
    expect([other.requests, stage.requests()]).toEqual([[], []])
  })

  test.each(['ftp://host', 'file:///etc/passwd', 'invalid', 'https://me:pass@host/'])(
    '%s is not an acceptable URL',
    async (azure_api_base) => {
      await using stage = await startProvider('remote::azure', azureConfig)
      const response = await stage.post(chatPath, chat, { azure_api_base, azure_api_key: callerKey })
      expect([response.status, (await errorOf(response)).code]).toEqual([400, 'invalid_provider_url'])
    },
  )

  test.each([['http://ho st/'], [7], [true], [['https://host']], [{ url: 'https://host' }], [[]], ['  ']])(
    '%j is none either: the key is not sent to the operator’s host instead',
    async (azure_api_base) => {
      await using stage = await startProvider('remote::azure', azureConfig)
      const response = await stage.post(chatPath, chat, { azure_api_base, azure_api_key: callerKey })
      expect([response.status, stage.requests()]).toEqual([400, []])
      expect((await errorOf(response)).code).toBe('invalid_provider_url')
    },
  )

  test('a host with letters of any script is judged as what it is to the resolver', async () => {
    await using stage = await startProvider('remote::azure', azureConfig, undefined, { allow: [] })
    const header = String.raw`{"azure_api_base":"http://m\u00fcnchen.invalid","azure_api_key":"${callerKey}"}`
    const response = await stage.post(chatPath, chat, JSON.parse(header) as object)
    expect([response.status, (await errorOf(response)).code, stage.requests()]).toEqual([400, 'url_not_allowed', []])
  })

  test.each([[7], [['k']], [{}], ['k\u00e9y'], ['a\nb']])('an invalid key, %j: 400, not the operator’s', async (azure_api_key) => {
    await using stage = await startProvider('remote::azure', azureConfig)
    const response = await stage.post(chatPath, chat, { azure_api_key })
    expect([response.status, stage.requests()]).toEqual([400, []])
    expect(await errorOf(response)).toMatchObject({ code: 'invalid_provider_data', param: 'azure_api_key' })
  })

  test('a key alone goes to the operator’s resource; a token of Entra ID as a bearer', async () => {
    await using stage = await startProvider('remote::azure', azureConfig)
    await stage.post(chatPath, chat, { azure_api_key: callerKey })
    await stage.post(chatPath, chat, { azure_api_key: 'eyJhbGciOi.eyJzdWIi.c2ln' })
    expect(stage.requests()[0]).toMatchObject({ path: '/operator/chat/completions', headers: { 'api-key': callerKey } })
    expect(stage.requests()[1]?.headers).toMatchObject({ authorization: 'Bearer eyJhbGciOi.eyJzdWIi.c2ln' })
    expect(stage.requests()[1]?.headers).not.toHaveProperty('api-key')
  })
})

describe('hosts that a caller’s URL may not reach', () => {
  const both = [
    ['remote::azure', (url: string) => ({ azure_api_base: url, azure_api_key: callerKey }), azureConfig],
    ['remote::passthrough', (url: string) => ({ passthrough_url: url }), () => ({ api_key: operatorKey })],
  ] as const

  test.each(both)('[EGR-1] %s: inside, and every attempt is refused and logged', async (type, data, config) => {
    await using stage = await startProvider(type, config, undefined, { allow: [] })
    await using inside = await mockUpstream()
    const refused = new Set<string>()
    for (const url of [
      inside.url,
      'http://localhost:1/',
      'http://169.254.169.254/latest/',
      'http://[::ffff:10.0.0.1]/',
      'https://no-such-host.invalid',
    ]) {
      for (const body of [chat, { ...chat, stream: true }]) {
        const response = await stage.post(chatPath, body, data(url))
        expect(response.status).toBe(400)
        const { message, code } = await errorOf(response)
        expect([code, message]).toEqual(['url_not_allowed', expect.stringContaining('server.egress.allow')])
        refused.add(message)
      }
    }
    expect(refused.size).toBe(1)
    expect([inside.accepted, stage.requests()]).toEqual([0, []])
  })

  test.each(both)('[EGR-1] %s: nor where its listing is asked for', async (type, data, config) => {
    await using stage = await startProvider(type, config, undefined, { allow: [] })
    await using inside = await mockUpstream()
    const response = await stage.get('/v1/models', { 'x-llamastack-provider-data': JSON.stringify(data(inside.url)) })
    expect(response.status).toBe(200)
    expect([inside.accepted, await response.text()]).toEqual([0, expect.not.stringContaining(inside.url)])
  })

  test.each(both)('[EGR-8] %s: a redirect of its host is not followed', async (type, data, config) => {
    await using stage = await startProvider(type, config)
    await using host = await mockUpstream()
    await using other = await mockUpstream()
    host.respond(() => ({ status: 307, headers: { location: `${other.url}/v1/chat/completions` } }))
    const response = await stage.post(chatPath, chat, data(host.url))
    expect([response.status, (await errorOf(response)).message]).toEqual([502, expect.stringContaining('redirects are not followed')])
    expect(other.accepted).toBe(0)
  })

  test('[EGR-6] its query and path stay at its host', async () => {
    await using stage = await startProvider('remote::azure', azureConfig)
    await using other = await mockUpstream()
    other.respond(() => chatReply())
    for (const tail of ['#', '?', '/#/x', '/?next=', '/..//', '/%2f..', '\\@evil.invalid']) {
      await stage.post(chatPath, chat, { azure_api_base: other.url + tail, azure_api_key: callerKey })
    }
    expect(other.requests.filter(({ method }) => method === 'POST')).toHaveLength(7)
    expect(new Set(other.requests.map(({ headers }) => headers.host))).toEqual(new Set([new URL(other.url).host]))
    expect(JSON.stringify(other.requests)).not.toMatch(/operator|secret-header/)
  })
})

describe('passthrough', () => {
  const rules = { tenant: 'X-Tenant-ID', token: 'Authorization' }

  test('[PRV-5] without a URL a caller must bring one; the operator’s key does not go there', async () => {
    await using stage = await startProvider('remote::passthrough', () => ({ api_key: operatorKey, forward_headers: rules }))
    const without = await stage.post(chatPath, chat)
    expect([without.status, (await errorOf(without)).message]).toEqual([400, expect.stringContaining('passthrough_url')])
    const data = { passthrough_url: stage.upstream.url, tenant: 't1', token: 'Bearer theirs' }
    expect((await stage.post(chatPath, chat, data)).status).toBe(200)
    expect(stage.requests()[0]).toMatchObject({
      path: '/v1/chat/completions',
      headers: { 'x-tenant-id': 't1', authorization: 'Bearer theirs' },
    })
    expect((await stage.post(chatPath, chat, { ...data, passthrough_api_key: callerKey })).status).toBe(200)
    expect(stage.requests()[1]?.headers).toMatchObject({ authorization: `Bearer ${callerKey}` })
    expect(JSON.stringify(stage.requests())).not.toContain(operatorKey)
  })

  test('a configured key goes before a forwarded Authorization', async () => {
    await using stage = await startProvider('remote::passthrough', (url) => ({
      base_url: url,
      api_key: operatorKey,
      forward_headers: rules,
    }))
    await stage.post(chatPath, chat, { tenant: 't1', token: 'Bearer theirs', stranger: 'x' })
    expect(stage.requests()[0]?.headers).toMatchObject({ 'x-tenant-id': 't1', authorization: `Bearer ${operatorKey}` })
  })

  test('the types of another Llama Stack’s models are kept', async () => {
    const data = [
      { id: 'e', custom_metadata: { model_type: 'embedding', embedding_dimension: 4 } },
      { identifier: 'old', model_type: 'llm' },
    ]
    await using stage = await startProvider(
      'remote::passthrough',
      (url) => ({ base_url: url }),
      ({ method }) => (method === 'GET' ? jsonReply({ data }) : undefined),
    )
    expect(await listedTypes(stage)).toEqual({ 'p/e': 'embedding', 'p/old': 'llm' })
  })

  test('blocked headers are refused in the configuration', () => {
    const { config } = providerDefinitions.find(({ type }) => type === 'remote::passthrough')!
    expect(config.safeParse({ forward_headers: { a: 'Host' } }).success).toBe(false)
    expect(config.safeParse({ forward_headers: { a: 'x-ok' } }).success).toBe(true)
  })
})
