import { describe, expect, test } from 'bun:test'
import {
  chatChunk,
  closeBeforeHead,
  done,
  errorReply,
  frame,
  refusingUrl,
  resetBeforeHead,
  stall,
  stallBeforeHead,
  type Pause,
  type Script,
} from '../../src/testing/index.ts'
import { events, expectQuietEnd, impatient, impatientFromStart, key, startFailingUpstream, type Failure } from './failing-upstream.ts'

/** Only a silent upstream is worth a short timeout. */
function timeoutFor(script: Script): object | undefined {
  if (script === stallBeforeHead) return impatientFromStart
  return script.end === 'stall' ? impatient : undefined
}

describe('no response', () => {
  const cases: readonly [string, Script, number][] = [
    ['reset before the head', resetBeforeHead, 502],
    ['closed before the head', closeBeforeHead, 502],
    ['silent before the head', stallBeforeHead, 504],
    ['no HTTP at all', { raw: 'SSH-2.0-OpenSSH_9.6\r\n', end: 'cut' }, 502],
    ['a body that is cut', { headers: { 'content-length': '1000' }, body: '{"id":', end: 'cut' }, 502],
    ['a body that is reset', { headers: { 'content-length': '1000' }, body: '{"id":', end: 'reset' }, 502],
    ['a body that stalls', { headers: { 'content-length': '1000' }, body: '{"id":', end: 'stall' }, 504],
    ['200 with HTML', { headers: { 'content-type': 'text/html' }, body: '<html>Welcome</html>' }, 502],
    ['200 with half a JSON', { body: '{"id": "x", "choices": [' }, 502],
    ['200 with nothing', { body: '' }, 502],
    ['a redirect', { status: 302, headers: { location: 'http://127.0.0.1:1/' }, body: '' }, 502],
  ]

  test.each(cases)('[ERR-3] %s', async (_, script, status) => {
    await using stage = await startFailingUpstream(script, { timeout: timeoutFor(script) })
    const response = await stage.ask()
    expect(response.status).toBe(status)
    const { error } = (await response.json()) as Failure
    expect(error.message).toBeTruthy()
    if (response.headers.get('x-corral-error-source') === null) expect(error.type).toBe('upstream_error')
    await expectQuietEnd(stage, /./)
  })

  test.each(cases.filter(([name]) => name.includes('before the head') || name.includes('no HTTP')))(
    '%s, streamed',
    async (_, script, status) => {
      await using stage = await startFailingUpstream(script, { timeout: timeoutFor(script) })
      const response = await stage.ask({ stream: true })
      expect(response.status).toBe(status)
      expect(((await response.json()) as Failure).error.type).toBe('upstream_error')
      await expectQuietEnd(stage, /./)
    },
  )

  test.each([false, true])('a port that refuses (stream: %p)', async (stream) => {
    await using stage = await startFailingUpstream(undefined, { baseUrl: `${await refusingUrl()}/v1` })
    const response = await stage.ask({ stream })
    expect(response.status).toBe(502)
    expect(((await response.json()) as Failure).error.type).toBe('upstream_error')
    await expectQuietEnd(stage, /refused|connect/i)
  })
})

describe('errors of the provider in unusual forms', () => {
  test('a status with HTML: the status, the page under error.provider', async () => {
    await using stage = await startFailingUpstream(errorReply(503, '<html><body><h1>503 Service Unavailable</h1></body></html>'))
    const response = await stage.ask()
    expect(response.status).toBe(503)
    const { error } = (await response.json()) as Failure
    expect(error.message).toBeTruthy()
    expect(error.message).not.toContain('<html>')
    expect(error.provider).toMatchObject({ status: 503 })
    expect(String(error.provider?.body)).toContain('<h1>503 Service Unavailable</h1>')
    await expectQuietEnd(stage, /./)
  })

  test('a huge error body is cut to 8 kB', async () => {
    await using stage = await startFailingUpstream(errorReply(500, 'x'.repeat(5_000_000)))
    const response = await stage.ask()
    const text = await response.text()
    expect(response.status).toBe(500)
    expect(text.length).toBeLessThan(20_000)
  })

  test('an error body that stalls: its status all the same', async () => {
    await using stage = await startFailingUpstream(
      { status: 401, headers: { 'content-length': '5000' }, body: '{"error":', end: 'stall' },
      { timeout: impatient },
    )
    const response = await stage.ask()
    expect(response.status).toBe(401)
    await response.text()
    await expectQuietEnd(stage, /./)
  })

  test.each([false, true])('200 with an error body is no success (stream: %p)', async (stream) => {
    await using stage = await startFailingUpstream({
      body: JSON.stringify({ error: { message: 'Out of tokens', type: 'quota', code: 'q' } }),
    })
    const response = await stage.ask({ stream })
    expect(response.status).toBeGreaterThanOrEqual(400)
    expect(((await response.json()) as Failure).error.message).toContain('Out of tokens')
    await expectQuietEnd(stage, /Out of tokens/)
  })

  test.each([false, true])('[ERR-6] the key it echoes is masked (stream: %p)', async (stream) => {
    await using stage = await startFailingUpstream(
      errorReply(401, { error: { message: `Incorrect API key provided: ${key}.`, type: 'auth', code: key } }),
    )
    const response = await stage.ask({ stream })
    expect(response.status).toBe(401)
    const text = await response.text()
    expect(text).toContain('Incorrect API key provided')
    expect(text).not.toContain(key)
    await expectQuietEnd(stage, /./)
  })

  test('its login challenge and cookies are dropped', async () => {
    await using stage = await startFailingUpstream(
      errorReply(401, undefined, { 'www-authenticate': 'Bearer realm="theirs"', 'set-cookie': 'a=b' }),
    )
    const response = await stage.ask()
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBeNull()
    expect(response.headers.get('set-cookie')).toBeNull()
  })
})

describe('streams that break off', () => {
  const opening = [chatChunk({ role: 'assistant', content: '' }), chatChunk({ content: 'Once' })]
  /** `arrived`: until the caller has read what came. A connection's end may overtake, in the client, what was sent before it. */
  const broken: readonly [string, (arrived: Pause) => Script][] = [
    ['cut without the end of the message', (arrived) => ({ body: [...opening, arrived], end: 'cut' })],
    ['reset', (arrived) => ({ body: [...opening, arrived], end: 'reset' })],
    ['ended without [DONE]', () => ({ body: opening })],
    ['ended after a finish reason without [DONE]', () => ({ body: [...opening, chatChunk({}, 'stop')] })],
    ['silent in the middle', () => ({ body: [...opening, stall] })],
    ['cut within a frame', (arrived) => ({ body: [...opening, arrived, 'data: {"id":"x","cho'], end: 'cut' })],
    ['ended within a frame', () => ({ body: [...opening, 'data: {"id":"x","cho'] })],
    ['a frame that is no JSON', () => ({ body: [...opening, 'data: {"id": invalid}\n\n', done] })],
  ]

  test.each(broken)('[STR-2] %s: what came, then an error event, no [DONE]', async (_, script) => {
    const arrived = Promise.withResolvers<void>()
    await using stage = await startFailingUpstream(script({ until: arrived.promise }), { timeout: impatient })
    const response = await stage.ask({ stream: true })
    expect(response.status).toBe(200)
    let text = ''
    for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
      text += piece
      if (text.includes('Once')) arrived.resolve()
    }
    const all = events(text)
    expect(all).not.toContain('[DONE]')
    expect((JSON.parse(all[1] ?? '{}') as { choices: [{ delta: { content: string } }] }).choices[0].delta.content).toBe('Once')
    expect((JSON.parse(all.at(-1) ?? '{}') as Failure).error.type).toBe('upstream_error')
    expect(all.filter((data) => data.includes('"error"'))).toHaveLength(1)
    await expectQuietEnd(stage, /./)
  })

  test('silent before the first frame: an error event', async () => {
    await using stage = await startFailingUpstream({ body: [stall] }, { timeout: impatient })
    const response = await stage.ask({ stream: true })
    const all = events(await response.text())
    expect(all).toHaveLength(1)
    expect((JSON.parse(all[0] ?? '{}') as Failure).error.type).toBe('upstream_error')
    await expectQuietEnd(stage, /./)
  })

  test('[STR-8] an error inside: one error event with its message, then the end', async () => {
    const inside = frame({ error: { message: 'The engine overheated', type: 'server_error', code: 'hot' } })
    await using stage = await startFailingUpstream({ body: [...opening, inside, chatChunk({ content: ' more' }), done] })
    const response = await stage.ask({ stream: true })
    const all = events(await response.text())
    expect(JSON.parse(all.at(-1) ?? '{}')).toMatchObject({ error: { message: 'The engine overheated' } })
    expect(all).toHaveLength(3)
    await expectQuietEnd(stage, /overheated/)
  })

  test('an error inside that echoes the key', async () => {
    await using stage = await startFailingUpstream({ body: [...opening, frame({ error: { message: `Bad key ${key}`, code: 401 } })] })
    const text = await (await stage.ask({ stream: true })).text()
    expect(text).toContain('Bad key')
    expect(text).not.toContain(key)
    await expectQuietEnd(stage, /./)
  })
})
