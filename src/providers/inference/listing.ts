import type { ProviderModel, ProviderDeps } from '../provider.ts'
import type { ModelType } from '../../schemas/models.ts'
import type { OpenAICompatibleOptions } from './openai-compatible-options.ts'
import { invalidResponse } from './upstream-error.ts'

/** Turns a provider's listing into models, and adds the static ones. Throws ApiError 502 when it is not a listing. */
export function toListedModels(document: unknown, options: OpenAICompatibleOptions, deps: Pick<ProviderDeps, 'id'>): ProviderModel[] {
  return withStatic(parsed(document, options, deps), options.staticModels ?? [])
}

function parsed(document: unknown, options: OpenAICompatibleOptions, deps: Pick<ProviderDeps, 'id'>): ProviderModel[] {
  if (!options.parseModels) return openaiModels(document, options, deps)
  try {
    return options.parseModels(document)
  } catch (error) {
    throw invalidResponse(deps, 'returned a model list that cannot be parsed', error)
  }
}

/** `{data: [{id, created, owned_by}]}`; some send `{models: […]}` or a bare list, some call the id `name`. */
function openaiModels(document: unknown, options: OpenAICompatibleOptions, deps: Pick<ProviderDeps, 'id'>): ProviderModel[] {
  const { data, models } = (document ?? {}) as { data?: unknown; models?: unknown }
  const list = [data, models, document].find((candidate) => Array.isArray(candidate)) as unknown[] | undefined
  if (!list) throw invalidResponse(deps, 'returned an invalid model list')
  return list.flatMap((entry) => {
    const { id, name, created, owned_by } = (entry ?? {}) as Record<string, unknown>
    const own = typeof id === 'string' && id !== '' ? id : name
    if (typeof own !== 'string' || own === '') return []
    return [
      {
        id: own,
        ...typed(own, options),
        ...(typeof created === 'number' && { created }),
        ...(typeof owned_by === 'string' && { owned_by }),
      },
    ]
  })
}

function typed(id: string, options: OpenAICompatibleOptions): Pick<ProviderModel, 'type' | 'typeIsGuess' | 'metadata'> {
  const known = options.typeOf?.(id)
  if (known) return { type: known.type, metadata: known.metadata ?? {} }
  const type = typeByName(id)
  return { type, ...(type === 'llm' && { typeIsGuess: true }), metadata: {} }
}

/** What a model most likely is, going by its name. */
export function typeByName(id: string): ModelType {
  if (/rerank/i.test(id)) return 'rerank'
  return /embed/i.test(id) ? 'embedding' : 'llm'
}

function withStatic(listed: readonly ProviderModel[], known: readonly ProviderModel[]): ProviderModel[] {
  const byId = new Map(listed.map((model) => [model.id, model]))
  for (const model of known) {
    const other = byId.get(model.id)
    byId.set(model.id, other ? { ...other, ...model, metadata: { ...other.metadata, ...model.metadata } } : model)
  }
  return [...byId.values()]
}
