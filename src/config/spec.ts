import type { ProviderDefinition } from '../providers/provider.ts'
import { nearest } from './nearest.ts'
import type { KnownProviders } from './providers.ts'
import { ConfigErrors, type ConfigIssue } from './report.ts'

/** One provider of a `--providers` spec. */
export interface SpecifiedProvider {
  readonly api: string
  readonly id: string
  readonly definition: ProviderDefinition
  /** Settings given after `?`; they go over those of the definition's starter entry. */
  readonly settings: Readonly<Record<string, string>>
}

const example = 'write e.g. "inference=remote::groq,inference=remote::ollama"'

/**
 * Reads `inference=remote::groq,inference=openai?api_key=…`: an API, a provider type (or its last part), and settings as in a URL's query.
 * Throws ConfigErrors.
 */
export function parseProvidersSpec(spec: string, known: KnownProviders): SpecifiedProvider[] {
  const issues: ConfigIssue[] = []
  const wrong = (message: string, meant?: string) => {
    issues.push({ file: '--providers', line: 0, column: 0, path: '', message, nearest: meant })
  }
  const providers: SpecifiedProvider[] = []
  for (const part of spec.split(',').map((piece) => piece.trim())) {
    if (part === '') continue
    const [, api = '', name = '', query = ''] = /^([^=?]*)=([^?]*)(?:\?(.*))?$/s.exec(part) ?? []
    if (api.trim() === '' || name.trim() === '') {
      wrong(`every provider needs an API and a type: ${example}`)
      continue
    }
    const definition = findDefinition(api.trim(), name.trim(), { known, wrong })
    if (!definition) continue
    const defaults = definition.starter?.id ?? name.trim().split('::').at(-1)!
    providers.push({
      api: definition.api,
      id: freeId(defaults, providers),
      definition,
      settings: Object.fromEntries(new URLSearchParams(query)),
    })
  }
  if (providers.length === 0 && issues.length === 0) wrong(`names no provider: ${example}`)
  if (issues.length > 0) throw new ConfigErrors(issues)
  return providers
}

function findDefinition(
  api: string,
  name: string,
  { known, wrong }: { known: KnownProviders; wrong: (message: string, meant?: string) => void },
): ProviderDefinition | undefined {
  const all = [...known.definitions, ...known.planned]
  const apis = [...new Set<string>(all.map((one) => one.api))]
  if (!apis.includes(api)) {
    wrong(`unknown API '${api}'.`, nearest(api, apis))
    return undefined
  }
  const isMeant = (one: { api: string; type: string }) => one.api === api && (one.type === name || one.type.replace(/^\w+::/, '') === name)
  const definition = known.definitions.find(isMeant)
  if (definition) return definition
  const later = known.planned.find(isMeant)
  if (later) wrong(`${later.type} is known, but not served by this version yet`)
  else {
    const types = known.definitions.filter((one) => one.api === api).map((one) => one.type)
    const last = nearest(
      name.split('::').at(-1)!,
      types.map((type) => type.split('::').at(-1)!),
    )
    wrong(
      `unknown provider type '${name}' for ${api}; 'corral list providers' lists all.`,
      types.find((type) => last && type.endsWith(`::${last}`)),
    )
  }
  return undefined
}

function freeId(defaults: string, taken: readonly SpecifiedProvider[]): string {
  let id = defaults
  for (let count = 2; taken.some((one) => one.id === id); count++) id = `${defaults}-${count}`
  return id
}
