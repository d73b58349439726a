import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { Slab } from '../../wire/byte-writer.ts'
import { FrameEditor } from './frame-editor.ts'
import { runs } from '../../testing/sizes.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** The data of each frame after its way through one editor: by the short way where it is open, else by the long one. */
function edited(frames: readonly string[]): { requestedModel: unknown[]; alike: number } {
  const editor = new FrameEditor('some/model', 'chatcmpl-', 'chat.completion.chunk', new Slab())
  let alike = 0
  const requestedModel = frames.map((frame) => {
    const bytes = encoder.encode(`data: ${frame}\n\n`)
    if (editor.writeAlike(bytes, 0) === bytes.length) alike += 1
    else {
      expect(editor.scan(bytes, 6, bytes.length - 2)).toBe(true)
      editor.write()
    }
    const text = decoder.decode(editor.take())
    expect(text).toStartWith('data: {')
    expect(text).toEndWith('}\n\n')
    return JSON.parse(text.slice(6)) as unknown
  })
  return { requestedModel, alike }
}

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom('"content":"', '\\', '"', '\u0000', '"},"usage":{"total_tokens":1},"x":{"'),
)

const delta = fc.record(
  {
    role: fc.constant('assistant'),
    content: fc.option(text),
    reasoning_content: text,
    tool_calls: fc.array(fc.record({ index: fc.nat(2), function: fc.record({ arguments: text }) }), { maxLength: 2 }),
  },
  { requiredKeys: [] },
)

const chunk = fc.record(
  {
    id: fc.constantFrom('a', 'b', ''),
    object: fc.constant('chat.completion.chunk'),
    created: fc.constantFrom(5, 6, 0),
    model: fc.constantFrom('m', 'n'),
    choices: fc.array(fc.record({ index: fc.nat(1), delta, finish_reason: fc.constantFrom(null, 'stop') }), { maxLength: 2 }),
    usage: fc.constantFrom(null, { total_tokens: 3 }),
    obfuscation: text,
  },
  { requiredKeys: ['object', 'choices'] },
)

test('whatever way a frame takes, id, created and model are the stream’s and all else is the upstream’s', () => {
  fc.assert(
    fc.property(fc.array(chunk, { minLength: 1, maxLength: 8 }), fc.constantFrom(undefined, 1), (chunks, space) => {
      const frames = chunks.map((value) => (space ? JSON.stringify(value).replaceAll('":', '": ') : JSON.stringify(value)))
      fc.pre(frames.every((frame) => !space || JSON.stringify(JSON.parse(frame)) === JSON.stringify(chunks[frames.indexOf(frame)])))
      const { requestedModel } = edited(frames)
      const { id, created } = requestedModel[0] as { id: string; created: number }
      expect(requestedModel).toEqual(chunks.map((value) => ({ ...value, id, created, model: 'some/model' })))
    }),
    { numRuns: runs(500) },
  )
})

const frameOf = (content: string, over: object = {}): string =>
  JSON.stringify({ id: 'a', created: 5, model: 'm', choices: [{ index: 0, delta: { content }, finish_reason: null }], ...over })

test('frames that differ in their texts alone take the short way', () => {
  const texts = ['a', 'b', '', 'é語😀', '"quoted" \\ and \n', 'x'.repeat(5000), '}],"usage":{']
  expect(edited(texts.map((content) => frameOf(content))).alike).toBe(texts.length - 1)
  expect(edited(texts.map((content, at) => frameOf(content, { obfuscation: 'o'.repeat(at) }))).alike).toBe(texts.length - 1)
})

test('a frame that differs in anything else does not', () => {
  const others = [
    { usage: { total_tokens: 1 } },
    { error: { message: 'x' } },
    { id: 'b' },
    { choices: [] },
    { choices: [{ index: 1, delta: { content: 'a' }, finish_reason: 'stop' }] },
  ]
  for (const other of others) expect(edited([frameOf('a'), frameOf('a', other)]).alike).toBe(0)
})

test('a frame that is not well-formed never takes the short way', () => {
  const good = encoder.encode(`data: ${frameOf('hello')}\n\n`)
  const editor = new FrameEditor('some', 'chatcmpl-', 'chat.completion.chunk', new Slab())
  expect(editor.scan(good, 6, good.length - 2)).toBe(true)
  editor.write()
  fc.assert(
    fc.property(fc.integer({ min: 6, max: good.length - 3 }), fc.nat(255), fc.nat(2), (at, byte, mode) => {
      const rest = good.subarray(mode === 0 ? at : at + 1)
      const bad = Buffer.concat([good.subarray(0, at), mode === 2 ? Uint8Array.of() : Uint8Array.of(byte), rest])
      const wellFormed = isJson(bad.subarray(6, -2).toString('latin1'))
      if (!wellFormed) expect(editor.writeAlike(bad, 0)).toBe(0)
    }),
    { numRuns: runs(2000) },
  )
})

function isJson(candidate: string): boolean {
  try {
    JSON.parse(candidate)
    return true
  } catch {
    return false
  }
}
