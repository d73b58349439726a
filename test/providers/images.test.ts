import { describe, expect, test } from 'bun:test'
import { mockUpstream, stallBeforeHead, type MockUpstream, type Script } from '../../src/testing/index.ts'
import { chatPath, errorOf, startProvider, type ProviderServer } from './provider-server.ts'
import { operatorKey } from './remote-cases.ts'

const png = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')
const jpeg = Buffer.from('ffd8ffe000104a464946', 'hex')
const webp = Buffer.from('RIFF\x10\0\0\0WEBPVP8 ')
const dataUrl = (type: string, bytes: Buffer): string => `data:image/${type};base64,${bytes.toString('base64')}`
const image = (url: string) => ({ type: 'image_url', image_url: { url, detail: 'low' } })
const asking = (...urls: string[]) => ({
  messages: [
    { role: 'system', content: 'x' },
    { role: 'user', content: [{ type: 'text', text: '?' }, ...urls.map(image)] },
  ],
})

const asText = (image_url: unknown) => ({
  messages: [
    { role: 'user', content: 'x' },
    { role: 'user', content: [{ type: 'image_url', image_url }] },
  ],
})

/** What the provider was sent as the user's content. */
function sent(stage: ProviderServer): unknown[] {
  return (stage.requests().at(-1)!.json as { messages: { content: unknown[] }[] }).messages[1]!.content
}

function gallery(host: MockUpstream): void {
  host.respond(({ path }): Script | undefined => {
    if (path === '/moved') return { status: 302, headers: { location: '/png' } }
    if (path === '/inside') return { status: 302, headers: { location: 'http://169.254.169.254/latest/meta-data/' } }
    const bodies: Record<string, Buffer> = {
      '/png': png,
      '/jpeg': jpeg,
      '/webp': webp,
      '/html': Buffer.from('<html>'),
      '/svg': Buffer.from('<svg>'),
    }
    return bodies[path] && { headers: { 'content-type': 'image/png' }, body: bodies[path] }
  })
}

describe.each([
  ['remote::ollama', (url: string) => ({ url })],
  ['remote::sambanova', (url: string) => ({ base_url: url, api_key: operatorKey })],
] as const)('%s takes images as data URLs only', (type, config) => {
  test('[PRV-6] remote ones are fetched and put in, the rest of the messages as it came', async () => {
    await using stage = await startProvider(type, config)
    await using host = await mockUpstream()
    gallery(host)
    const own = dataUrl('png', png)
    const response = await stage.post(chatPath, {
      ...asking(own, `${host.url}/png`, `${host.url}/moved`, `${host.url}/jpeg`, `${host.url}/webp`),
      x: 1,
    })
    expect(response.status).toBe(200)
    const urls = [own, own, own, dataUrl('jpeg', jpeg), dataUrl('webp', webp)]
    expect(sent(stage)).toEqual([{ type: 'text', text: '?' }, ...urls.map(image)])
    expect(stage.requests()[0]?.json).toMatchObject({ x: 1, messages: [{ role: 'system', content: 'x' }, { role: 'user' }] })
    expect(JSON.stringify(host.requests)).not.toContain(operatorKey)
  })

  test('[PRV-6] [ADD-7] a URL as text is fetched as well, and what is no URL is a 400', async () => {
    await using stage = await startProvider(type, config)
    await using host = await mockUpstream()
    gallery(host)
    expect((await stage.post(chatPath, asText(`${host.url}/png`))).status).toBe(200)
    expect(sent(stage)).toEqual([{ type: 'image_url', image_url: dataUrl('png', png) }])
    for (const [value, param] of [
      [5, 'image_url'],
      [null, 'image_url'],
      [{ url: 5 }, 'image_url.url'],
      [[], 'image_url.url'],
    ] as const) {
      const response = await stage.post(chatPath, asText(value))
      expect([response.status, (await errorOf(response)).param]).toEqual([400, `messages[1].content[0].${param}`])
    }
    expect(stage.requests()).toHaveLength(1)
  })

  test.each([
    ['what is no image, whatever it is called', '/html', 'type is not supported'],
    ['SVG', '/svg', 'type is not supported'],
    ['one that is not there', '/none', 'host returned status 404'],
  ])('%s: 400, and nothing goes to the provider', async (_, path, message) => {
    await using stage = await startProvider(type, config)
    await using host = await mockUpstream()
    gallery(host)
    const response = await stage.post(chatPath, asking(host.url + path))
    const { code, param, message: messageOf } = await errorOf(response)
    expect([response.status, code, param]).toEqual([400, 'image_not_fetched', 'messages[1].content[1].image_url.url'])
    expect(messageOf).toContain(message)
    expect(stage.requests()).toEqual([])
  })

  test.each([
    ['inside', 'http://10.0.0.1/x.png', 'url_not_allowed'],
    ['a redirect to the inside', '/inside', 'url_not_allowed'],
    ['with a password', 'http://a:b@127.0.0.1/', 'invalid_url'],
  ])('[EGR-1] %s: 400', async (_, url, code) => {
    await using stage = await startProvider(type, config)
    await using host = await mockUpstream()
    gallery(host)
    const response = await stage.post(chatPath, asking(url.startsWith('/') ? host.url + url : url))
    expect([response.status, (await errorOf(response)).code]).toEqual([400, code])
    expect(stage.requests()).toEqual([])
  })

  test('nothing of this machine unless the operator allows it', async () => {
    await using stage = await startProvider(type, config, undefined, { allow: [] })
    await using host = await mockUpstream()
    expect((await errorOf(await stage.post(chatPath, asking(`${host.url}/png`)))).code).toBe('url_not_allowed')
    expect(host.accepted).toBe(0)
  })
})

describe('limits of images', () => {
  test('[EGR-9] eight, and 20 MB together', async () => {
    await using stage = await startProvider('remote::ollama', (url) => ({ url }))
    await using host = await mockUpstream()
    const large = Buffer.concat([png, Buffer.alloc(9 * 1024 * 1024)])
    host.respond(() => ({ body: large }))
    const many = await stage.post(chatPath, asking(...Array.from({ length: 9 }, () => `${host.url}/png`)))
    expect([many.status, (await errorOf(many)).code, host.accepted]).toEqual([400, 'image_not_fetched', 0])
    const much = await stage.post(chatPath, asking(`${host.url}/1`, `${host.url}/2`, `${host.url}/3`))
    expect([much.status, (await errorOf(much)).message]).toEqual([400, expect.stringContaining('larger than')])
    expect(host.requests).toHaveLength(3)
    expect(stage.requests()).toEqual([])
  })

  test('a client that disconnects is not waited for', async () => {
    await using stage = await startProvider('remote::ollama', (url) => ({ url }))
    await using host = await mockUpstream()
    host.enqueue(stallBeforeHead)
    const caller = new AbortController()
    const pending = stage.post(chatPath, asking(`${host.url}/png`), undefined, caller.signal)
    await host.received(1)
    caller.abort()
    expect((await pending).status).toBe(499)
    await host.quiet({ closed: true })
    expect(stage.requests()).toEqual([])
  })

  test('other providers get the URL as it is', async () => {
    await using stage = await startProvider('remote::groq', (url) => ({ base_url: url, api_key: operatorKey }))
    await stage.post(chatPath, asking('http://10.0.0.1/x.png'))
    expect(sent(stage)[1]).toEqual(image('http://10.0.0.1/x.png'))
  })
})
