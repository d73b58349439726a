import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { createImageUrlCheck } from '../../src/api/chat/image-urls.ts'
import { createDenyList, createAllowList } from '../../src/egress/allow-list.ts'
import { createGuard } from '../../src/egress/guard.ts'
import { egressSchema } from '../../src/egress/schema.ts'
import { ApiError } from '../../src/errors.ts'
import { imageUrlsIn } from '../../src/schemas/image-urls.ts'
import { mockUpstream } from '../../src/testing/index.ts'
import { callerUrl, scriptedResolver } from '../egress/test-egress.ts'
import { chatPath, errorOf, startProvider } from '../providers/provider-server.ts'
import { operatorKey } from '../providers/remote-cases.ts'

const part = (url: unknown) => ({ type: 'image_url', image_url: { url } })
const inTool = (url: string) => ({ role: 'tool', content: [{ type: 'image_url', image_url: url }] })
const asking = (...parts: unknown[]) => ({ messages: [{ role: 'user', content: [{ type: 'text', text: '?' }, ...parts] }] })
const fetching = ['remote::openai', (url: string) => ({ base_url: `${url}/v1`, api_key: operatorKey })] as const

/** What a check throws, as code and param; undefined: nothing. */
function refusal(check: (messages: unknown) => void, ...parts: unknown[]) {
  try {
    check(asking(...parts).messages)
    return undefined
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    return { code: error.code, param: error.param, by: error.denial?.by }
  }
}

const neither = [
  'file:///etc/passwd',
  'FILE:///etc/passwd',
  'ftp://images.example/a.png',
  'gopher://images.example/',
  'javascript:alert(1)',
  's3://bucket/a.png',
  '/etc/passwd',
  '//images.example/a.png',
  'images.example/a.png',
  'iVBORw0KGgo=',
  ' http://images.example/a.png',
  'http:images.example/a.png',
  'http://',
  'https://exa mple/',
  '',
]

describe('image URLs', () => {
  test('[GUA-8] that are neither http(s) nor data are a 400, and nothing is sent', async () => {
    await using stage = await startProvider(...fetching)
    for (const url of neither) {
      const response = await stage.post(chatPath, asking(part('https://images.example/a.png'), part(url)))
      const { code, param } = await errorOf(response)
      expect([url, response.status, code, param]).toEqual([url, 400, 'invalid_image_url', 'messages[0].content[2].image_url.url'])
      const asText = await stage.post(chatPath, asking({ type: 'image_url', image_url: url }))
      expect([url, asText.status, (await errorOf(asText)).param]).toEqual([url, 400, 'messages[0].content[1].image_url'])
    }
    expect(stage.requests()).toEqual([])
  })

  test('[GUA-8] of http(s) and data pass as they are to a provider that fetches for itself', async () => {
    await using stage = await startProvider(...fetching)
    const urls = [
      'https://images.example/a.png',
      'HTTP://10.0.0.1:8080/x?y#z',
      'https://a:b@images.example/',
      'data:image/png;base64,AA==',
      'DATA:,x',
    ]
    const body = asking(...urls.map(part), ...urls.map((url) => ({ type: 'image_url', image_url: url })))
    expect((await stage.post(chatPath, body)).status).toBe(200)
    expect(stage.requests()[0]?.json).toMatchObject(body)
  })

  test('[GUA-8] are checked in both forms, wherever they stand', () => {
    const check = createImageUrlCheck()
    for (const url of neither) {
      expect(refusal(check, { type: 'image_url', image_url: url })).toEqual({
        code: 'invalid_image_url',
        param: 'messages[0].content[1].image_url',
        by: undefined,
      })
      expect(refusal(check, { image_url: { url } })?.param).toBe('messages[0].content[1].image_url.url')
    }
    for (const url of ['https://images.example/a.png', 'data:image/png;base64,AA==']) {
      expect([refusal(check, part(url)), refusal(check, { type: 'image_url', image_url: url })]).toEqual([undefined, undefined])
    }
    expect(() => check([{ role: 'system', content: 'x' }, inTool('https://images.example/'), inTool('file:///x')])).toThrow(
      "'messages[2].content[0].image_url' must be",
    )
  })

  test('[GUA-8] are found in any JSON without throwing, and replaced where they stand', () => {
    const url = fc.oneof(fc.constantFrom(...neither), fc.webUrl(), fc.string())
    const image = fc.oneof(url, fc.record({ url: fc.oneof(url, fc.jsonValue()) }), fc.jsonValue({ maxDepth: 1 }))
    const content = fc.oneof(
      fc.string(),
      fc.array(fc.oneof(fc.record({ image_url: image }), fc.jsonValue({ maxDepth: 1 })), { maxLength: 3 }),
    )
    const messages = fc.oneof(
      fc.jsonValue({ maxDepth: 1 }),
      fc.array(fc.oneof(fc.record({ content }), fc.constant(null)), { maxLength: 3 }),
    )
    fc.assert(
      fc.property(messages, (value) => {
        for (const found of imageUrlsIn(value)) found.replace('data:,')
        expect(imageUrlsIn(value).every((found) => found.url === 'data:,')).toBe(true)
        createImageUrlCheck()(value)
      }),
      { numRuns: 50 },
    )
  })
})

describe('server.egress.deny', () => {
  const deny = ['evil.example', '*.internal', '10.0.0.0/8', '192.0.2.1:8080', '[fd00::1]']

  test.each([
    ['http://evil.example/a.png', true],
    ['https://EVIL.example.:8443/a.png', true],
    ['http://user@evil.example/', true],
    ['http://images.internal/', true],
    ['http://10.1.2.3/', true],
    ['http://0x0a010203/', true],
    ['http://[::ffff:10.1.2.3]/', true],
    ['http://[64:ff9b::a01:203]/', true],
    ['http://[::10.1.2.3]/', true],
    ['http://[2002:a01:203::1]/', true],
    ['http://[64:ff9b::b01:203]/', false],
    ['http://192.0.2.1:8080/', true],
    ['http://[fd00::1]/', true],
    ['http://192.0.2.1/', false],
    ['http://images.example/?evil.example', false],
    ['http://notevil.example/', false],
    ['data:,evil.example', false],
  ])('[GUA-9] %s is refused before a provider that fetches for itself: %p', async (url, isRefused) => {
    await using stage = await startProvider(...fetching, undefined, { allow: [], deny })
    const response = await stage.post(chatPath, asking(part(url)))
    expect(response.status).toBe(isRefused ? 400 : 200)
    expect(stage.requests()).toHaveLength(isRefused ? 0 : 1)
    if (isRefused) expect((await errorOf(response)).code).toBe('url_not_allowed')
    const check = createImageUrlCheck(deny)
    const refused = { code: 'url_not_allowed', param: 'messages[0].content[1].image_url', by: 'egress' as const }
    expect(refusal(check, { type: 'image_url', image_url: url })).toEqual(isRefused ? refused : undefined)
  })

  test('[GUA-9] `*` refuses every URL and lets data: pass', async () => {
    await using stage = await startProvider(...fetching, undefined, { allow: ['images.example'], deny: ['*'] })
    expect((await stage.post(chatPath, asking(part('https://images.example/')))).status).toBe(400)
    expect((await stage.post(chatPath, asking(part('data:image/png;base64,AA==')))).status).toBe(200)
  })

  test('[GUA-9] holds where this server fetches, before allow', async () => {
    await using stage = await startProvider('remote::ollama', (url) => ({ url }), undefined, {
      allow: ['127.0.0.1'],
      deny: ['127.0.0.0/8'],
    })
    await using host = await mockUpstream()
    const response = await stage.post(chatPath, asking(part(`${host.url}/a.png`)))
    expect([response.status, (await errorOf(response)).code, host.accepted]).toEqual([400, 'url_not_allowed', 0])
    await using other = await startProvider('remote::passthrough', () => ({}), undefined, { allow: ['127.0.0.1'], deny: ['127.0.0.1'] })
    const named = await other.post(chatPath, asking(), { passthrough_url: other.upstream.url })
    expect([named.status, (await errorOf(named)).code, other.requests()]).toEqual([400, 'url_not_allowed', []])
  })

  test('[GUA-9] is compared with the name and with every address that it resolves to, and with names asked of a proxy', async () => {
    const names = { 'a.example': ['8.8.8.8'], 'b.example': ['8.8.4.4', '203.0.114.9'], 'c.example': ['8.8.8.8'] }
    const guard = createGuard({
      allow: createAllowList(['a.example', 'b.example', 'c.example']),
      deny: createDenyList(['a.example', '203.0.114.0/24']),
      resolve: scriptedResolver(names).resolve,
      ownAddresses: () => [],
    })
    const admit = async (url: string): Promise<boolean> => {
      const judging = { signal: new AbortController().signal, timeout: 1000 }
      return guard.admit(callerUrl(url), judging).then(
        () => true,
        () => false,
      )
    }
    expect(await Promise.all(['http://a.example/', 'http://b.example/', 'http://c.example/'].map(admit))).toEqual([false, false, true])
    expect(() => guard.admitByProxy(callerUrl('http://a.example/'))).toThrow(ApiError)
    expect(() => guard.admitByProxy(callerUrl('http://c.example/'))).not.toThrow()
  })

  test('[GUA-9] is checked when the configuration is read', () => {
    expect(egressSchema.parse({ deny: ['*'] })).toEqual({ allow: [], deny: ['*'] })
    expect(egressSchema.safeParse({ allow: ['*'] }).success).toBe(false)
    expect(egressSchema.safeParse({ deny: ['https://evil.example'] }).success).toBe(false)
    expect(egressSchema.safeParse({ deny: ['0.0.0.0/0'] }).success).toBe(false)
  })
})
