import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { RegisteredModel } from '../config/config.ts'
import { indexOffers, toOffers, type Offer } from './offers.ts'
import { resolveId, toAliases, type ResolvableProvider, type Sight } from './resolve.ts'
import { runs } from '../testing/sizes.ts'

interface Sketch {
  id: string
  models: readonly string[]
  awaited?: boolean
  listed?: boolean
  down?: boolean
  allowed?: readonly string[] | undefined
}

function sightOf(sketches: readonly Sketch[], registered: readonly Partial<RegisteredModel>[] = [], warnings: string[] = []): Sight {
  const providers = new Map<string, ResolvableProvider>()
  const offers: Offer[] = []
  for (const { id, models, awaited = false, listed = !awaited, down = false, allowed } of sketches) {
    const allows = (upstreamId: string) => !allowed || allowed.includes(upstreamId)
    providers.set(id, { id, allows, serves: true, awaited, unsure: awaited, listed, down })
    if (!listed) continue
    offers.push(
      ...toOffers({
        source: { id, allows },
        models: models.map((model) => ({ id: model, type: model.includes('embed') ? 'embedding' : 'llm', metadata: {} })),
        created: 1,
      }),
    )
  }
  const aliases = toAliases({
    registered: registered.map((model) => ({ modelId: 'alias', type: 'llm', metadata: {}, ...model })),
    providerIds: [...providers.keys()],
    created: 2,
    warn: (message) => warnings.push(message),
  })
  return { providers, indices: [indexOffers(offers)], aliases, stored: () => [], sees: () => true }
}

/** `provider:model` for what goes somewhere, else the kind. */
function told(id: string, sight: Sight, patient = false): string {
  const found = resolveId(id, sight, patient)
  if (found.kind === 'offer') return `${found.offer.providerId}:${found.offer.upstreamId}`
  if (found.kind === 'unlisted') return `${found.providerId}:${found.upstreamId}`
  if (found.kind === 'ambiguous') return `ambiguous ${found.ids.join(' ')}`
  return found.kind
}

const groq = { id: 'groq', models: ['openai/gpt-oss-120b', 'llama-3.3-70b', 'groq/compound'] }

describe('which model an id means', () => {
  test('a provider’s own id with a slash is reached with the provider’s prefix and without', () => {
    const sight = sightOf([groq])
    expect(told('groq/openai/gpt-oss-120b', sight)).toBe('groq:openai/gpt-oss-120b')
    expect(told('openai/gpt-oss-120b', sight)).toBe('groq:openai/gpt-oss-120b')
    expect(told('llama-3.3-70b', sight)).toBe('groq:llama-3.3-70b')
  })

  test('a prefix that names a provider means that provider, whoever else has such a model', () => {
    const sight = sightOf([groq, { id: 'openai', models: ['gpt-4o'] }])
    expect(told('openai/gpt-oss-120b', sight)).toBe('openai:gpt-oss-120b')
    expect(told('groq/openai/gpt-oss-120b', sight)).toBe('groq:openai/gpt-oss-120b')
    const limited = sightOf([groq, { id: 'openai', models: ['gpt-4o'], allowed: ['gpt-4o'] }])
    expect(told('openai/gpt-oss-120b', limited)).toBe('absent')
  })

  test('an id that begins with its provider’s is not doubled, but may be', () => {
    const sight = sightOf([groq])
    expect(sight.indices[0]?.offers.map(({ id }) => id)).toContain('groq/compound')
    expect(told('groq/compound', sight)).toBe('groq:groq/compound')
    expect(told('groq/groq/compound', sight)).toBe('groq:groq/compound')
    const both = sightOf([{ id: 'groq', models: ['groq/compound', 'compound'] }])
    expect(told('groq/compound', both)).toBe('groq:compound')
    expect(told('groq/groq/compound', both)).toBe('groq:groq/compound')
  })

  test('[MOD-2] an unprefixed id of several providers is ambiguous and names them', () => {
    const sight = sightOf([
      { id: 'b', models: ['gpt-4o'] },
      { id: 'a', models: ['gpt-4o'] },
      { id: 'c', models: ['gpt-4o'], allowed: [] },
    ])
    expect(told('gpt-4o', sight)).toBe('ambiguous a/gpt-4o b/gpt-4o')
  })

  test('what nobody has is absent, and awaited while somebody has not listed', () => {
    const sight = sightOf([groq, { id: 'slow', models: ['x'], awaited: true }])
    for (const id of ['', '/', 'a/', '/a', 'none', 'none/such']) expect(told(id, sightOf([groq]))).toBe('absent')
    expect(told('none', sight)).toBe('awaited')
    expect(told('slow/x', sight)).toBe('awaited')
    expect(told('groq/x', sight)).toBe('groq:x')
    expect(told('llama-3.3-70b', sight, true)).toBe('awaited')
    expect(told('llama-3.3-70b', sight)).toBe('groq:llama-3.3-70b')
  })
})

const anyOf = (type: 'llm' | 'embedding') => [
  { modelId: 'any', providerId: 'all', providerModelId: 'auto', type, metadata: { embedding_dimension: 3 } },
]

describe('registered models', () => {
  test('are reached by their own id and by the provider’s prefix, and come after exact ids', () => {
    const sight = sightOf([groq], [{ modelId: 'fast', providerId: 'groq', providerModelId: 'llama-3.3-70b' }])
    expect(told('fast', sight)).toBe('groq:llama-3.3-70b')
    expect(told('groq/fast', sight)).toBe('groq:llama-3.3-70b')
    const shadowed = sightOf([groq], [{ modelId: 'groq/llama-3.3-70b', providerId: 'groq', providerModelId: 'other' }])
    expect(told('groq/llama-3.3-70b', shadowed)).toBe('groq:llama-3.3-70b')
  })

  test('need no listing when they name provider and model', () => {
    const sight = sightOf([{ id: 'slow', models: [], awaited: true }], [{ modelId: 'm', providerId: 'slow' }])
    expect(told('m', sight, true)).toBe('slow:m')
  })

  test('`all` goes to the first provider that has it, in the configuration’s order', () => {
    const wanted = [{ modelId: 'm', providerId: 'all', providerModelId: 'x' }]
    const a = { id: 'a', models: ['y'] }
    const b = { id: 'b', models: ['x'] }
    const c = { id: 'c', models: ['x'] }
    expect(told('m', sightOf([a, b, c], wanted))).toBe('b:x')
    expect(told('m', sightOf([a, c, b], wanted))).toBe('c:x')
    expect(told('m', sightOf([a], wanted))).toBe('absent')
    const unknown = { id: 'u', models: [], listed: false }
    expect(told('m', sightOf([a, unknown], wanted))).toBe('u:x')
    expect(told('m', sightOf([unknown, c], wanted))).toBe('c:x')
    const slow = { id: 's', models: [], awaited: true }
    expect(told('m', sightOf([slow, c], wanted), true)).toBe('awaited')
    expect(told('m', sightOf([c, slow], wanted), true)).toBe('c:x')
    expect(told('m', sightOf([slow, c], wanted))).toBe('c:x')
  })

  test('`auto` picks the first model of the type', () => {
    const sketches = [
      { id: 'a', models: ['embed-1'] },
      { id: 'b', models: ['l1', 'l2', 'embed-2'] },
    ]
    expect(told('any', sightOf(sketches, anyOf('llm')))).toBe('b:l1')
    expect(told('any', sightOf(sketches, anyOf('embedding')))).toBe('a:embed-1')
    const down = { id: 'd', models: [], listed: false, down: true }
    expect(told('any', sightOf([down], anyOf('llm')))).toBe('awaited')
    expect(told('any', sightOf([down, ...sketches], anyOf('llm')))).toBe('b:l1')
    expect(told('any', sightOf([{ id: 'x', models: [] }], anyOf('llm')))).toBe('absent')
  })

  test('take their type from the listing where they say none, and give theirs to the listing where they do', () => {
    const sight = sightOf(
      [{ id: 'a', models: ['embed-1'] }],
      [{ modelId: 'e', providerId: 'a', providerModelId: 'embed-1', metadata: { k: 1 } }],
    )
    const found = resolveId('e', sight, false)
    expect(found).toMatchObject({ kind: 'offer', offer: { id: 'e', type: 'embedding', metadata: { k: 1 } } })
    const models = [{ id: 'x', type: 'llm', metadata: { a: 1, b: 1 } }] as const
    const knownBetter = new Map([['x', { type: 'embedding', metadata: { b: 2 } }]] as const)
    expect(toOffers({ source: { id: 'p', allows: () => true }, models, created: 0, knownBetter })).toMatchObject([
      { id: 'p/x', type: 'embedding', metadata: { a: 1, b: 2 } },
    ])
  })

  test('that cannot mean anything are left out and said', () => {
    const warnings: string[] = []
    const sight = sightOf(
      [groq, { id: 'b', models: [] }],
      [
        { modelId: 'm1', providerId: 'gone' },
        { modelId: 'm2' },
        { modelId: 'm3', providerId: 'groq' },
        { modelId: 'm3', providerId: 'b' },
        { modelId: 'm4', providerId: 'b', type: 'embedding' },
      ],
      warnings,
    )
    expect(sight.aliases.all.map(({ model }) => model.modelId)).toEqual(['m3', 'm4'])
    expect(warnings.map((warning) => /'(m\d)'/.exec(warning)?.[1])).toEqual(['m1', 'm2', 'm3', 'm4'])
    const only = sightOf([groq], [{ modelId: 'm2' }])
    expect(told('m2', only)).toBe('groq:m2')
  })
})

const name = fc.constantFrom('a', 'b', 'c', 'm', 'n', 'a/m', 'b/m', 'a/b/m', 'c/n', 'embed')
const sketches = fc.uniqueArray(
  fc.record({
    id: fc.constantFrom('a', 'b', 'c', 'm'),
    models: fc.uniqueArray(name, { maxLength: 5 }),
    awaited: fc.boolean(),
    allowed: fc.option(fc.uniqueArray(name, { maxLength: 5 }), { nil: undefined }),
  }),
  { selector: ({ id }) => id, maxLength: 4 },
)
const registered = fc.array(
  fc.record({ modelId: name, providerId: fc.constantFrom('a', 'b', 'all'), providerModelId: fc.constantFrom('auto', 'm', 'a/m', 'n') }),
  { maxLength: 3 },
)
const asked = fc.oneof(
  name,
  fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'm'), name).map((parts) => parts.join('/')),
  fc.string(),
)

describe('for every catalogue', () => {
  test('the order of the rules decides, and nothing else', () => {
    fc.assert(
      fc.property(sketches, registered, asked, fc.boolean(), (providers, models, id, patient) => {
        const sight = sightOf(providers, models)
        const found = resolveId(id, sight, patient)
        const offers = sight.indices[0]?.offers ?? []
        const exact = offers.find((offer) => offer.id === id)
        if (exact) return found.kind === 'offer' && found.offer === exact
        const alias = sight.aliases.get(id)
        if (alias) return found.kind !== 'offer' || alias.providerId === undefined || found.offer.providerId === alias.providerId
        const [prefix = '', ...rest] = id.split('/')
        const named = rest.join('/') === '' ? undefined : sight.providers.get(prefix)
        if (named?.awaited) return found.kind === 'awaited'
        if (named) {
          return named.allows(rest.join('/')) ? told(id, sight, patient) === `${named.id}:${rest.join('/')}` : found.kind === 'absent'
        }
        const having = offers.filter((offer) => offer.upstreamId === id)
        const someAwaited = [...sight.providers.values()].some(({ awaited }) => awaited)
        if (someAwaited && (patient || having.length === 0)) return found.kind === 'awaited'
        if (having.length > 1) return found.kind === 'ambiguous' && found.ids.length === having.length
        return having[0] ? found.kind === 'offer' && found.offer === having[0] : found.kind === 'absent'
      }),
      { numRuns: runs(2000) },
    )
  })

  test('the same question has the same answer, and nothing outside allowed_models is ever reached', () => {
    fc.assert(
      fc.property(sketches, registered, asked, fc.boolean(), (providers, models, id, patient) => {
        const sight = sightOf(providers, models)
        const found = resolveId(id, sight, patient)
        expect(resolveId(id, sightOf(providers, models), patient)).toEqual(found)
        if (found.kind === 'offer') return sight.providers.get(found.offer.providerId)?.allows(found.offer.upstreamId) ?? false
        if (found.kind === 'unlisted') return sight.providers.get(found.providerId)?.allows(found.upstreamId) ?? false
        return true
      }),
      { numRuns: runs(1000) },
    )
  })

  test('catalogue ids are unique for each provider, and each leads to its own model', () => {
    fc.assert(
      fc.property(sketches, (providers) => {
        const sight = sightOf(providers)
        for (const { id } of providers) {
          const own = (sight.indices[0]?.offers ?? []).filter(({ providerId }) => providerId === id)
          expect(new Set(own.map((offer) => offer.id)).size).toBe(own.length)
          for (const offer of own) expect(offer.id.startsWith(`${id}/`)).toBe(true)
        }
      }),
    )
  })
})
