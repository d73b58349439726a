import { describe, expect, test } from 'bun:test'
import {
  chatChunk,
  chatFrames,
  chatReply,
  chatStream,
  closeBeforeHead,
  done,
  errorReply,
  resetBeforeHead,
  splitAt,
  stall,
  stallBeforeHead,
  usageChunk,
  type Script,
} from '../../src/testing/index.ts'
import { contentOf, events, expectQuietEnd, firstPost, impatient, startFailingUpstream, type Failure } from './failing-upstream.ts'

describe('streams in unusual chunks', () => {
  const words = ['Grüße', ' 🐎', ' 世界', '\n"quoted"\\', '.']
  const whole = chatFrames(words).join('')

  async function expectWhole(script: Script): Promise<void> {
    await using stage = await startFailingUpstream(script)
    const text = await (await stage.ask({ stream: true })).text()
    expect(contentOf(text)).toBe(words.join(''))
    expect(events(text).at(-1)).toBe('[DONE]')
    await expectQuietEnd(stage)
  }

  test('all in one write', () => expectWhole({ body: [whole] }))
  test('[STR-6] CRLF line ends', () => expectWhole({ body: [whole.replaceAll('\n', '\r\n')] }))
  test('CR line ends', () => expectWhole({ body: [whole.replaceAll('\n', '\r')] }))
  test('comments, event names and ids between', () =>
    expectWhole({ body: [`: hello\n\nevent: message\nid: 1\nretry: 3\n${whole.replace(/\n\n/, '\n\n: ping\n\n')}`] }))
  test('no space after the colon', () => expectWhole({ body: [whole.replaceAll('data: ', 'data:')] }))
  test('[STR-6] a byte at a time', () =>
    expectWhole({ body: splitAt(whole, ...Array.from({ length: Buffer.byteLength(whole) - 1 }, (_, at) => at + 1)) }))

  test('[STR-6] split once, at every byte of the first frames', async () => {
    const bytes = Buffer.byteLength(chatFrames(words).slice(0, 3).join(''))
    await using stage = await startFailingUpstream(undefined)
    let at = 0
    stage.upstream.respond(({ method }) => (method === 'GET' ? errorReply(404) : { body: splitAt(whole, at) }))
    for (at = 1; at < bytes; at += 3) {
      const text = await (await stage.ask({ stream: true })).text()
      expect(contentOf(text)).toBe(words.join(''))
    }
  })

  test('[STR-6] a frame of 10 MB', async () => {
    const big = 'x'.repeat(10_000_000)
    await using stage = await startFailingUpstream({ body: [chatChunk({ content: big }), chatChunk({}, 'stop'), done] })
    const text = await (await stage.ask({ stream: true })).text()
    expect(contentOf(text)).toHaveLength(big.length)
    expect(events(text).at(-1)).toBe('[DONE]')
    await expectQuietEnd(stage)
  })

  test('[STR-5] usage is requested, and withheld from a caller that did not request it', async () => {
    await using stage = await startFailingUpstream(chatStream())
    const silent = events(await (await stage.ask({ stream: true })).text())
    expect(stage.upstream.requests.at(-1)?.json).toMatchObject({ stream_options: { include_usage: true } })
    expect(silent.join('')).not.toContain('prompt_tokens')
    const requests = events(await (await stage.ask({ stream: true, stream_options: { include_usage: true } })).text())
    expect(requests.at(-2)).toContain('"prompt_tokens":9')
    expect(usageChunk).toContain('"prompt_tokens":9')
  })
})

describe('what travels', () => {
  test('[STR-7] fields of a delta that this server does not know', async () => {
    const delta = { role: 'assistant', content: 'a', reasoning_content: 'because', annotations: [{ big: null }], vendor: { deep: [null] } }
    const chunk = chatChunk(delta).replace('null}]', '12345678901234567890}]')
    await using stage = await startFailingUpstream({ body: [chunk, chatChunk({}, 'stop'), done] })
    const text = await (await stage.ask({ stream: true })).text()
    const said = /"delta":(.*?),"logprobs"/.exec(chunk)?.[1] ?? 'nothing'
    expect(text).toContain(said)
  })

  test('[REQ-1] numbers beyond 2^53 and unknown fields of a request, byte for byte', async () => {
    await using stage = await startFailingUpstream(chatReply())
    const tail = '"seed":12345678901234567890, "temperature":1.50,"x":{"y":[1e400 , "\\u00e9"]}}'
    const body = `{"model":"mock/m","messages":[{"role":"user","content":"Hi"}], ${tail}`
    expect((await stage.ask({}, { body })).status).toBe(200)
    expect(stage.upstream.requests.at(-1)?.text).toBe(body.replace('mock/m', 'm'))
  })

  test('[STR-4] heartbeats through a silence, before the first token too', async () => {
    const gate = Promise.withResolvers<void>()
    const script: Script = { body: [{ until: gate.promise }, ...chatFrames(['late'])] }
    await using stage = await startFailingUpstream(script, { server: { heartbeatInterval: 0.02 } })
    const response = await stage.ask({ stream: true })
    let text = ''
    for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
      text += piece
      if (text.startsWith(': ping')) gate.resolve()
    }
    expect(text).toStartWith(': ping\n\n')
    expect(contentOf(text)).toBe('late')
    await expectQuietEnd(stage)
  })

  test('[STR-4] a head that takes long: 200 and heartbeats; what fails then is an event', async () => {
    const gate = Promise.withResolvers<void>()
    const refusal: Script = {
      ...errorReply(401, { error: { message: 'Invalid API Key', code: 'invalid_api_key' } }),
      before: { until: gate.promise },
    }
    await using stage = await startFailingUpstream(refusal, { server: { streamHeadTimeout: 0.02 } })
    const response = await stage.ask({ stream: true })
    expect(response.status).toBe(200)
    gate.resolve()
    const all = events(await response.text())
    expect(all.map((data) => (JSON.parse(data) as Failure).error.message)).toEqual(['Invalid API Key'])
    await expectQuietEnd(stage, /Invalid API Key/)
  })
})

describe('slow upstreams and disconnects', () => {
  test('an upstream that reads slowly gets all of a large request', async () => {
    await using stage = await startFailingUpstream(chatReply(), { readPause: 1 })
    const response = await stage.ask({ messages: [{ role: 'user', content: 'y'.repeat(2_000_000) }] })
    expect(response.status).toBe(200)
    expect(stage.upstream.requests.at(-1)?.bytes.length).toBeGreaterThan(2_000_000)
  })

  const silences: readonly [string, Script, boolean][] = [
    ['before the head', stallBeforeHead, false],
    ['before the head of a stream', stallBeforeHead, true],
    ['before the first frame', { body: [': hi\n\n', stall] }, true],
    ['in the middle of a stream', { body: [chatChunk({ content: 'a' }), stall] }, true],
  ]

  test.each(silences)('[STR-3] a client that disconnects %s: the upstream’s connection closes', async (_, script, stream) => {
    await using stage = await startFailingUpstream(script)
    const leaving = new AbortController()
    const reading = stage
      .ask({ stream }, { signal: leaving.signal })
      .then((response) => response.text())
      .catch((error: Error) => error.name)
    const request = await firstPost(stage.upstream)
    leaving.abort()
    await request.finished
    expect(request.aborted).toBe(true)
    expect(await reading).toBe('AbortError')
    await expectQuietEnd(stage)
  })

  test('after a hundred failures no connection is open', async () => {
    await using stage = await startFailingUpstream(undefined, { timeout: impatient })
    const scripts = [
      resetBeforeHead,
      closeBeforeHead,
      { body: ['data: {', stall] },
      { body: [chatChunk({ content: 'a' })], end: 'cut' } as const,
    ]
    let turn = 0
    stage.upstream.respond(({ method }) => (method === 'GET' ? errorReply(404) : scripts[turn++ % scripts.length]))
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        const response = await stage.ask({ stream: true })
        await response.text()
      }),
    )
    await stage.upstream.quiet()
    expect(stage.server.app.activeRequests).toBe(0)
    // What is kept for the next request is idle: the listing's own connection at most. The others were asked to close.
    while (stage.upstream.open > 1) await new Promise((resolve) => setTimeout(resolve, 1))
  })
})
