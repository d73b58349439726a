import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { ApiError } from '../../errors.ts'
import { recordedLog } from '../../testing/recorded-log.ts'
import { chat } from '../../operations/chat.ts'
import type { ModelRequest, Reply } from '../provider.ts'
import { defaultMaxTokens, usageInStreams } from './additions.ts'
import { Additions, sendWithAdditions } from './refused-additions.ts'
import { toProviderError } from './upstream-error.ts'

const accepted: Reply = { kind: 'json', bytes: new Uint8Array(), usage: undefined }

function create(): Additions {
  return new Additions({ additions: [usageInStreams, defaultMaxTokens(10)], log: recordedLog(), remembers: true })
}

function requestOf(model: string): ModelRequest<object> {
  return {
    model,
    requestedModel: model,
    operation: chat,
    format: chat.format,
    body: { stream: true },
    bytes: new TextEncoder().encode('{"stream":true}'),
  }
}

/** Sends until it is accepted or fails; returns the added fields of each attempt. */
async function attempts(all: Additions, model: string, refuse: (fields: readonly string[]) => ApiError | undefined): Promise<string[][]> {
  const sent: string[][] = []
  const send = async (edits: ReadonlyMap<string, unknown>): Promise<Reply> => {
    sent.push([...edits.keys()])
    const error = refuse(sent.at(-1)!)
    if (error) throw error
    return accepted
  }
  await sendWithAdditions(all.for(requestOf(model), 'chat'), send).catch(() => undefined)
  return sent
}

test('[ADD-1] wherever an error body names the field, the request is sent again once', async () => {
  const word = fc.constantFrom('error', 'message', 'detail', 'errors', 'a', 'reason')
  const { body } = fc.letrec((tie) => ({
    leaf: fc.constantFrom('stream_options', "Unknown field 'stream_options'.", 'body.stream_options.include_usage'),
    body: fc.oneof(
      { maxDepth: 4 },
      tie('leaf'),
      fc.tuple(word, tie('body')).map(([key, inner]) => ({ [key]: inner, code: 1 })),
      fc.tuple(tie('body')),
      fc.record({ stream_options: fc.constant('no') }),
    ),
  }))
  await fc.assert(
    fc.asyncProperty(body, fc.constantFrom(400, 422, 200), async (content, status) => {
      const failure = toProviderError({ id: 'p', secrets: [] }, { status, body: content as object })
      // A status that a body names goes before that of the response.
      fc.pre([400, 422, 502].includes(failure.status))
      expect(await attempts(create(), 'm', (fields) => (fields.includes('stream_options') ? failure : undefined))).toEqual([
        ['stream_options', 'max_tokens'],
        ['max_tokens'],
      ])
    }),
    { numRuns: 60 },
  )
})

test('[ADD-1] for any sequence of refusals, each addition is withdrawn at most once', async () => {
  const texts = ['stream_options', 'max_tokens', 'stream_options and max_tokens', 'something else']
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...texts), { maxLength: 6 }), async (refusals) => {
      const left = [...refusals]
      const sent = await attempts(create(), 'm', () => {
        const message = left.shift()
        return message === undefined
          ? undefined
          : new ApiError('invalid_request_error', message, { status: 400, provider: { id: 'p', status: 400, body: message } })
      })
      expect(sent.length).toBeLessThanOrEqual(3)
      for (let at = 1; at < sent.length; at += 1) expect(sent[at]!.length).toBeLessThan(sent[at - 1]!.length)
    }),
    { numRuns: 60 },
  )
})

function refuseOptions(fields: readonly string[]): ApiError | undefined {
  if (!fields.includes('stream_options')) return undefined
  return new ApiError('x', 'stream_options', { status: 400, provider: { id: 'p', status: 400, body: '' } })
}

test('[ADD-2] a thousand models are remembered, the latest ones', async () => {
  const all = create()
  for (let at = 0; at <= 1000; at += 1) await attempts(all, `m${at}`, refuseOptions)
  expect(await attempts(all, 'm1000', refuseOptions)).toHaveLength(1)
  expect(await attempts(all, 'm1', refuseOptions)).toHaveLength(1)
  expect(await attempts(all, 'm0', refuseOptions)).toHaveLength(2)
})

test('[ADD-1] a stream that its reader ends during the second attempt ends that one as well', async () => {
  const refused = new ApiError('x', 'stream_options', { status: 400, provider: { id: 'p', status: 200, body: '' } })
  const second = Promise.withResolvers<Reply>()
  let ended = 0
  const streamOf = (next: () => Promise<IteratorResult<Uint8Array, void>>): Reply => ({
    kind: 'stream',
    facts: { usage: undefined, firstTokenAt: undefined, frames: 0 },
    frames: {
      next,
      return: async () => {
        ended += 1
        return { done: true, value: undefined }
      },
    },
  })
  const replies = [Promise.resolve(streamOf(() => Promise.reject(refused))), second.promise]
  const reply = await sendWithAdditions(create().for(requestOf('m'), 'chat'), () => replies.shift()!)
  if (reply.kind !== 'stream') throw new Error('Not a stream.')
  const frame = reply.frames.next()
  await reply.frames.return?.()
  second.resolve(streamOf(async () => ({ done: true, value: undefined })))
  expect(await frame).toEqual({ done: true, value: undefined })
  expect(ended).toBe(2)
})
