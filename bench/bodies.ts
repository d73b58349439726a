// `node bin/bun.js bench/bodies.ts`: the CPU time that accepting a large request body takes (reading, checking, validating, editing the model), as a
// ratio to decoding and parsing the same bytes.
import { routes } from '../src/api/index.ts'
import { readJsonBody } from '../src/http/body.ts'
import { parserOf } from '../src/schemas/parser.ts'
import { editObject, encodeJson } from '../src/wire/json-edit.ts'

const limits = { bytes: 32 * 1024 * 1024, members: 100_000 }
const rounds = 80

const prose = 'The committee met on Tuesday, and "most of it" was about the budget.\nNothing was decided; a second meeting follows. '
const words = (length: number): string => prose.repeat(Math.ceil(length / prose.length)).slice(0, length)
const many = <Item>(count: number, make: (at: number) => Item): Item[] => Array.from({ length: count }, (_, at) => make(at))
const chat = (messages: readonly object[], more: object = {}) => ['/v1/chat/completions', { model: 'm', messages, ...more }] as const
const embeddings = (input: unknown) => ['/v1/embeddings', { model: 'm', input }] as const
const role = (at: number): string => (at % 2 ? 'assistant' : 'user')
const image = `data:image/png;base64,${'iVBORw0KGgoAAAANSUhEUgAA'.repeat(80_000)}`
const parameters = { type: 'object', properties: { city: { type: 'string', description: words(40) }, days: { type: 'number' } } }

const shapes: Readonly<Record<string, readonly [path: string, body: object]>> = {
  'many messages': chat(many(6000, (at) => ({ role: role(at), content: words(200) }))),
  'long messages': chat(many(70, (at) => ({ role: role(at), content: words(20_000) }))),
  'a picture': chat([{ role: 'user', content: [{ type: 'image_url', image_url: { url: image } }] }]),
  tools: chat([{ role: 'user', content: 'Hi' }], {
    tools: many(3000, (at) => ({ type: 'function', function: { name: `f${at}`, description: words(100), parameters } })),
  }),
  'texts to embed': embeddings(many(20_000, () => words(60))),
  'tokens to embed': embeddings(many(300_000, (at) => (at * 7919) % 50_000)),
  'lists of tokens': embeddings(many(300, () => many(1000, (at) => (at * 7919) % 50_000))),
  '90,000 members': chat([{ role: 'user', content: 'Hi' }], { extra: many(90_000, (at) => ({ [`k${at % 10}`]: at })) }),
  '90,000 names': chat([{ role: 'user', content: 'Hi' }], { extra: Object.fromEntries(many(90_000, (at) => [`name${at}`, at])) }),
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const model = new Map([['model', encodeJson('another')]])

/** CPU milliseconds: the lower quartile, since other work on the machine only adds. */
async function cost(run: () => unknown): Promise<number> {
  const costs: number[] = []
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage()
    await run()
    const { user, system } = process.cpuUsage(before)
    costs.push((user + system) / 1000)
  }
  return costs.toSorted((a, b) => a - b)[rounds >> 2] as number
}

console.log('| body | MB | JSON.parse, ms | accepting it, ms | ratio |\n|---|--:|--:|--:|--:|')
for (const [name, [path, value]] of Object.entries(shapes)) {
  const schema = routes.find((route) => route.method === 'POST' && route.path === path)?.body
  if (!schema) throw new Error(`no route takes a body at ${path}`)
  const validate = parserOf(schema)
  const sent = Buffer.from(JSON.stringify(value))
  const headers = { 'content-type': 'application/json', 'content-length': String(sent.length) }
  const parsing = await cost(() => JSON.parse(utf8.decode(sent)))
  const accepting = await cost(async () => {
    const body = await readJsonBody(new Request('http://localhost', { method: 'POST', body: sent, headers }), limits)
    if (!validate(body.value).success) throw new Error(`${name} is not accepted`)
    editObject(body.bytes, model)
  })
  console.log(
    `| ${name} | ${(sent.length / 1e6).toFixed(1)} | ${parsing.toFixed(1)} | ${accepting.toFixed(1)} | ${(accepting / parsing).toFixed(2)} |`,
  )
}
