import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { runs } from '../../testing/sizes.ts'
import { StreamFold } from './stream-to-json.ts'

const encoder = new TextEncoder()

const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
const logprob = fc.record({
  token: text,
  logprob: fc.integer({ min: -9, max: 0 }),
  bytes: fc.constant(null),
  top_logprobs: fc.constant([]),
})
const call = fc.record({
  id: fc.constantFrom('a', 'b', 'c'),
  type: fc.constant('function'),
  function: fc.record({ name: text, arguments: text }),
})
const choice = fc.record({
  message: fc.record(
    {
      content: text,
      reasoning_content: text,
      refusal: text,
      tool_calls: fc.array(call, { minLength: 1, maxLength: 3 }),
      annotations: fc.array(fc.record({ type: fc.constant('url_citation'), url: text }), { minLength: 1, maxLength: 3 }),
      reasoning_details: fc.array(fc.record({ type: fc.constant('reasoning.text'), text, signature: fc.option(text) }), {
        minLength: 1,
        maxLength: 3,
      }),
      vendor: fc.record({ deep: fc.record({ text }), flag: fc.boolean() }),
    },
    { requiredKeys: [] },
  ),
  logprobs: fc.option(fc.record({ content: fc.array(logprob, { minLength: 1, maxLength: 3 }), refusal: fc.constant(null) })),
  finish_reason: fc.constantFrom('stop', 'tool_calls'),
  stop_reason: fc.constantFrom(null, 'END', 2),
})
type Choice = typeof choice extends fc.Arbitrary<infer C> ? C : never

/** The parts of a text. */
function cut(whole: string, at: number): string[] {
  const place = at % (whole.length + 1)
  return [whole.slice(0, place), whole.slice(place)]
}

/** The deltas of one choice in which an upstream may send it: lists item by item, texts in two parts. */
function deltasOf({ message, logprobs, finish_reason, stop_reason }: Choice, at: number): object[] {
  const deltas: object[] = [{ delta: { role: 'assistant', content: null } }]
  const say = (delta: object): void => void deltas.push({ delta })
  for (const name of ['content', 'reasoning_content', 'refusal'] as const)
    if (message[name] !== undefined) for (const part of cut(message[name], at)) say({ [name]: part })
  for (const [index, one] of (message.tool_calls ?? []).entries()) {
    const [start, rest] = cut(one.function.arguments, at)
    say({ tool_calls: [{ index, ...one, function: { ...one.function, arguments: start } }] })
    say({ tool_calls: [{ index, function: { arguments: rest } }] })
  }
  for (const annotation of message.annotations ?? []) say({ annotations: [annotation] })
  for (const [index, detail] of (message.reasoning_details ?? []).entries()) {
    const [start, rest] = cut(detail.text, at)
    say({ reasoning_details: [{ index, type: detail.type, text: start, signature: null }] })
    say({ reasoning_details: [{ index, type: detail.type, text: rest, signature: detail.signature }] })
  }
  if (message.vendor) {
    const [start, rest] = cut(message.vendor.deep.text, at)
    say({ vendor: { deep: { text: start } } })
    say({ vendor: { deep: { text: rest }, flag: message.vendor.flag } })
  }
  for (const one of logprobs?.content ?? []) deltas.push({ delta: {}, logprobs: { content: [one], refusal: null } })
  deltas.push({ delta: {}, finish_reason, stop_reason })
  return deltas
}

function fold(chunks: readonly object[]): unknown {
  const stream = new StreamFold()
  for (const chunk of chunks) stream.add(encoder.encode(`data: ${JSON.stringify(chunk)}\n\n`))
  stream.add(encoder.encode('data: [DONE]\n\n'))
  return JSON.parse(JSON.stringify(stream.result()))
}

test('[MAL-6] a response that was split into the chunks of a stream is what their fold is', () => {
  fc.assert(
    fc.property(fc.array(choice, { minLength: 1, maxLength: 2 }), fc.nat(40), fc.boolean(), (choices, at, isInterleaved) => {
      const head = { id: 'a', created: 5, model: 'm', system_fingerprint: 'fp' }
      const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 }
      const deltas = choices.map((one) => deltasOf(one, at))
      const maxLength = Math.max(...deltas.map(({ length }) => length))
      const order = isInterleaved
        ? Array.from({ length: maxLength }, (_, step) =>
            deltas.flatMap((list, index) => (list[step] ? [{ index, ...list[step] }] : [])),
          ).flat()
        : deltas.flatMap((list, index) => list.map((delta) => ({ index, ...delta })))
      const chunks = order.map((one) => ({
        ...head,
        object: 'chat.completion.chunk',
        obfuscation: 'xx',
        choices: [{ finish_reason: null, ...one }],
      }))
      const expected = choices.map(({ message, logprobs, ...rest }, index) => ({
        index,
        ...rest,
        ...(logprobs && { logprobs }),
        message: {
          role: 'assistant',
          content: null,
          ...message,
          ...(message.reasoning_details && {
            reasoning_details: message.reasoning_details.map((detail, number) => ({ index: number, ...detail })),
          }),
        },
      }))
      expect(fold([...chunks, { ...head, object: 'chat.completion.chunk', choices: [], usage }])).toEqual({
        ...head,
        object: 'chat.completion',
        choices: expected,
        usage,
      })
    }),
    { numRuns: runs(500) },
  )
})

const chunk = (delta: object): object => ({ object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: null }] })

test('[MAL-6] names of an object’s prototype and deep nesting are data', () => {
  const deep = (depth: number): unknown => (depth === 0 ? 'x' : { a: deep(depth - 1) })
  const evil = JSON.parse('{"__proto__":{"polluted":true},"constructor":"c"}') as object
  const folded = fold([chunk({ ...evil, deep: deep(2000) }), chunk({ deep: deep(2000) }), chunk(evil)]) as {
    choices: { message: object }[]
  }
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  expect(folded.choices[0]?.message).toMatchObject({ constructor: 'cc' })
})
