import type { ProviderDefinition } from './provider.ts'

export type LoadedDefinition =
  | { readonly kind: 'definition'; readonly definition: ProviderDefinition }
  | { readonly kind: 'problem'; readonly message: string }

/** Loads a provider in a package of its own: a module whose default export is a provider definition. */
export async function loadDefinition(url: string): Promise<LoadedDefinition> {
  let loaded: { default?: unknown }
  try {
    loaded = await import(url)
  } catch (error) {
    return { kind: 'problem', message: `the module fails to load: ${error instanceof Error ? error.message : String(error)}` }
  }
  const lacks = whatLacks(loaded.default)
  if (lacks !== undefined) return { kind: 'problem', message: `its default export is not a provider definition: ${lacks}` }
  return { kind: 'definition', definition: loaded.default as ProviderDefinition }
}

function whatLacks(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return 'it is missing; export default defineProvider({ ... })'
  const definition = value as Partial<Record<keyof ProviderDefinition, unknown>>
  for (const key of ['api', 'type', 'description'] as const) if (typeof definition[key] !== 'string') return `'${key}' must be text`
  if (typeof definition.create !== 'function') return "'create' must be a function"
  const { config } = definition
  const isSchema = typeof config === 'object' && config !== null && '_zod' in config && 'safeParse' in config
  if (!isSchema) return "'config' must be a zod 4 schema"
  return undefined
}
