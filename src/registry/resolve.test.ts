import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { RegisteredModel } from '../config/config.ts'
import { indexEntries, toCatalogEntries, type CatalogEntry } from './catalog-entries.ts'
import { resolveId, toAliases, type ResolvableProvider, type CallerView } from './resolve.ts'
import { runs } from '../testing/sizes.ts'

interface Sketch {
  id: string
  models: readonly string[]
  awaited?: boolean
  listed?: boolean
  down?: boolean
  allowed?: readonly string[] | undefined
}

function viewOf(sketches: readonly Sketch[], registered: readonly Partial<RegisteredModel>[] = [], warnings: string[] = []): CallerView {
  const providers = new Map<string, ResolvableProvider>()
  const entries: CatalogEntry[] = []
  for (const { id, models, awaited = false, listed = !awaited, down = false, allowed } of sketches) {
    const allows = (upstreamId: string) => !allowed || allowed.includes(upstreamId)
    providers.set(id, { id, allows, serves: true, awaited, mayChange: awaited, listed, down })
    if (!listed) continue
    entries.push(
      ...toCatalogEntries({
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
  return { providers, indices: [indexEntries(entries)], aliases, stored: () => [], canAccess: () => true }
}

/** `provider:model` for what goes somewhere, else the kind. */
function outcomeOf(id: string, view: CallerView, patient = false): string {
  const found = resolveId(id, view, patient)
  if (found.kind === 'entry') return `${found.entry.providerId}:${found.entry.upstreamId}`
  if (found.kind === 'unlisted') return `${found.providerId}:${found.upstreamId}`
  if (found.kind === 'ambiguous') return `ambiguous ${found.ids.join(' ')}`
  return found.kind
}

const groq = { id: 'groq', models: ['openai/gpt-oss-120b', 'llama-3.3-70b', 'groq/compound'] }

describe('which model an id means', () => {
  test('a provider’s own id with a slash is reached with the provider’s prefix and without', () => {
    const view = viewOf([groq])
    expect(outcomeOf('groq/openai/gpt-oss-120b', view)).toBe('groq:openai/gpt-oss-120b')
    expect(outcomeOf('openai/gpt-oss-120b', view)).toBe('groq:openai/gpt-oss-120b')
    expect(outcomeOf('llama-3.3-70b', view)).toBe('groq:llama-3.3-70b')
  })

  test('a prefix that names a provider means that provider, whichever others have such a model', () => {
    const view = viewOf([groq, { id: 'openai', models: ['gpt-4o'] }])
    expect(outcomeOf('openai/gpt-oss-120b', view)).toBe('openai:gpt-oss-120b')
    expect(outcomeOf('groq/openai/gpt-oss-120b', view)).toBe('groq:openai/gpt-oss-120b')
    const limited = viewOf([groq, { id: 'openai', models: ['gpt-4o'], allowed: ['gpt-4o'] }])
    expect(outcomeOf('openai/gpt-oss-120b', limited)).toBe('absent')
  })

  test('an id that begins with its provider’s is not doubled, but may be', () => {
    const view = viewOf([groq])
    expect(view.indices[0]?.entries.map(({ id }) => id)).toContain('groq/compound')
    expect(outcomeOf('groq/compound', view)).toBe('groq:groq/compound')
    expect(outcomeOf('groq/groq/compound', view)).toBe('groq:groq/compound')
    const both = viewOf([{ id: 'groq', models: ['groq/compound', 'compound'] }])
    expect(outcomeOf('groq/compound', both)).toBe('groq:compound')
    expect(outcomeOf('groq/groq/compound', both)).toBe('groq:groq/compound')
  })

  test('[MOD-2] an unprefixed id of several providers is ambiguous and names them', () => {
    const view = viewOf([
      { id: 'b', models: ['gpt-4o'] },
      { id: 'a', models: ['gpt-4o'] },
      { id: 'c', models: ['gpt-4o'], allowed: [] },
    ])
    expect(outcomeOf('gpt-4o', view)).toBe('ambiguous a/gpt-4o b/gpt-4o')
  })

  test('a model that no provider has is absent, and awaited while a listing is pending', () => {
    const view = viewOf([groq, { id: 'slow', models: ['x'], awaited: true }])
    for (const id of ['', '/', 'a/', '/a', 'none', 'none/such']) expect(outcomeOf(id, viewOf([groq]))).toBe('absent')
    expect(outcomeOf('none', view)).toBe('awaited')
    expect(outcomeOf('slow/x', view)).toBe('awaited')
    expect(outcomeOf('groq/x', view)).toBe('groq:x')
    expect(outcomeOf('llama-3.3-70b', view, true)).toBe('awaited')
    expect(outcomeOf('llama-3.3-70b', view)).toBe('groq:llama-3.3-70b')
  })
})

const anyOf = (type: 'llm' | 'embedding') => [
  { modelId: 'any', providerId: 'all', providerModelId: 'auto', type, metadata: { embedding_dimension: 3 } },
]

describe('registered models', () => {
  test('are reached by their own id and by the provider’s prefix, and come after exact ids', () => {
    const view = viewOf([groq], [{ modelId: 'fast', providerId: 'groq', providerModelId: 'llama-3.3-70b' }])
    expect(outcomeOf('fast', view)).toBe('groq:llama-3.3-70b')
    expect(outcomeOf('groq/fast', view)).toBe('groq:llama-3.3-70b')
    const shadowed = viewOf([groq], [{ modelId: 'groq/llama-3.3-70b', providerId: 'groq', providerModelId: 'other' }])
    expect(outcomeOf('groq/llama-3.3-70b', shadowed)).toBe('groq:llama-3.3-70b')
  })

  test('need no listing when they name provider and model', () => {
    const view = viewOf([{ id: 'slow', models: [], awaited: true }], [{ modelId: 'm', providerId: 'slow' }])
    expect(outcomeOf('m', view, true)).toBe('slow:m')
  })

  test('`all` goes to the first provider that has it, in the configuration’s order', () => {
    const input = [{ modelId: 'm', providerId: 'all', providerModelId: 'x' }]
    const a = { id: 'a', models: ['y'] }
    const b = { id: 'b', models: ['x'] }
    const c = { id: 'c', models: ['x'] }
    expect(outcomeOf('m', viewOf([a, b, c], input))).toBe('b:x')
    expect(outcomeOf('m', viewOf([a, c, b], input))).toBe('c:x')
    expect(outcomeOf('m', viewOf([a], input))).toBe('absent')
    const unknown = { id: 'u', models: [], listed: false }
    expect(outcomeOf('m', viewOf([a, unknown], input))).toBe('u:x')
    expect(outcomeOf('m', viewOf([unknown, c], input))).toBe('c:x')
    const slow = { id: 's', models: [], awaited: true }
    expect(outcomeOf('m', viewOf([slow, c], input), true)).toBe('awaited')
    expect(outcomeOf('m', viewOf([c, slow], input), true)).toBe('c:x')
    expect(outcomeOf('m', viewOf([slow, c], input))).toBe('c:x')
  })

  test('`auto` picks the first model of the type', () => {
    const sketches = [
      { id: 'a', models: ['embed-1'] },
      { id: 'b', models: ['l1', 'l2', 'embed-2'] },
    ]
    expect(outcomeOf('any', viewOf(sketches, anyOf('llm')))).toBe('b:l1')
    expect(outcomeOf('any', viewOf(sketches, anyOf('embedding')))).toBe('a:embed-1')
    const down = { id: 'd', models: [], listed: false, down: true }
    expect(outcomeOf('any', viewOf([down], anyOf('llm')))).toBe('awaited')
    expect(outcomeOf('any', viewOf([down, ...sketches], anyOf('llm')))).toBe('b:l1')
    expect(outcomeOf('any', viewOf([{ id: 'x', models: [] }], anyOf('llm')))).toBe('absent')
  })

  test('take their type from the listing where they say none, and give theirs to the listing where they do', () => {
    const view = viewOf(
      [{ id: 'a', models: ['embed-1'] }],
      [{ modelId: 'e', providerId: 'a', providerModelId: 'embed-1', metadata: { k: 1 } }],
    )
    const found = resolveId('e', view, false)
    expect(found).toMatchObject({ kind: 'entry', entry: { id: 'e', type: 'embedding', metadata: { k: 1 } } })
    const models = [{ id: 'x', type: 'llm', metadata: { a: 1, b: 1 } }] as const
    const overrides = new Map([['x', { type: 'embedding', metadata: { b: 2 } }]] as const)
    expect(toCatalogEntries({ source: { id: 'p', allows: () => true }, models, created: 0, overrides })).toMatchObject([
      { id: 'p/x', type: 'embedding', metadata: { a: 1, b: 2 } },
    ])
  })

  test('that cannot mean anything are left out and said', () => {
    const warnings: string[] = []
    const view = viewOf(
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
    expect(view.aliases.all.map(({ model }) => model.modelId)).toEqual(['m3', 'm4'])
    expect(warnings.map((warning) => /'(m\d)'/.exec(warning)?.[1])).toEqual(['m1', 'm2', 'm3', 'm4'])
    const only = viewOf([groq], [{ modelId: 'm2' }])
    expect(outcomeOf('m2', only)).toBe('groq:m2')
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
        const view = viewOf(providers, models)
        const found = resolveId(id, view, patient)
        const entries = view.indices[0]?.entries ?? []
        const exact = entries.find((entry) => entry.id === id)
        if (exact) return found.kind === 'entry' && found.entry === exact
        const alias = view.aliases.get(id)
        if (alias) return found.kind !== 'entry' || alias.providerId === undefined || found.entry.providerId === alias.providerId
        const [prefix = '', ...rest] = id.split('/')
        const named = rest.join('/') === '' ? undefined : view.providers.get(prefix)
        if (named?.awaited) return found.kind === 'awaited'
        if (named) {
          return named.allows(rest.join('/')) ? outcomeOf(id, view, patient) === `${named.id}:${rest.join('/')}` : found.kind === 'absent'
        }
        const having = entries.filter((entry) => entry.upstreamId === id)
        const someAwaited = [...view.providers.values()].some(({ awaited }) => awaited)
        if (someAwaited && (patient || having.length === 0)) return found.kind === 'awaited'
        if (having.length > 1) return found.kind === 'ambiguous' && found.ids.length === having.length
        return having[0] ? found.kind === 'entry' && found.entry === having[0] : found.kind === 'absent'
      }),
      { numRuns: runs(2000) },
    )
  })

  test('resolution is deterministic, and no model outside allowed_models is ever reached', () => {
    fc.assert(
      fc.property(sketches, registered, asked, fc.boolean(), (providers, models, id, patient) => {
        const view = viewOf(providers, models)
        const found = resolveId(id, view, patient)
        expect(resolveId(id, viewOf(providers, models), patient)).toEqual(found)
        if (found.kind === 'entry') return view.providers.get(found.entry.providerId)?.allows(found.entry.upstreamId) ?? false
        if (found.kind === 'unlisted') return view.providers.get(found.providerId)?.allows(found.upstreamId) ?? false
        return true
      }),
      { numRuns: runs(1000) },
    )
  })

  test('catalogue ids are unique for each provider, and each leads to its own model', () => {
    fc.assert(
      fc.property(sketches, (providers) => {
        const view = viewOf(providers)
        for (const { id } of providers) {
          const own = (view.indices[0]?.entries ?? []).filter(({ providerId }) => providerId === id)
          expect(new Set(own.map((entry) => entry.id)).size).toBe(own.length)
          for (const entry of own) expect(entry.id.startsWith(`${id}/`)).toBe(true)
        }
      }),
    )
  })
})
