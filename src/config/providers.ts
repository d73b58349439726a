import { isDeepStrictEqual } from 'node:util'
import type { PlannedProvider, ProviderDefinition } from '../providers/provider.ts'
import type { ProviderEntry } from './config.ts'
import type { ProviderIds } from './models.ts'
import { isNearMiss, nearest } from './nearest.ts'
import { loadProviderModule } from './provider-modules.ts'
import { Report } from './report.ts'
import { knownApis, providerEntrySchema } from './schema.ts'
import { enabledId, idIfEnabled, type Substitution, substitute } from './substitute.ts'
import { llamaStackTelemetryType } from './telemetry.ts'
import { child, emptyMap, isEmpty, type MapNode, shown, textOf, type TreeNode } from './tree.ts'
import type { reportUnknownKey } from './validate.ts'
import { type Strictness, validate, validateWritten } from './validate.ts'

export interface KnownProviders {
  readonly definitions: readonly ProviderDefinition[]
  readonly planned: readonly PlannedProvider[]
}

interface ProvidersContext extends Substitution, KnownProviders {
  readonly strictness: Strictness
  /** `apis:`; empty: all. */
  readonly apis: readonly string[]
  /** Skip a provider with invalid settings with a warning: a built-in distribution cannot be edited. */
  readonly forgiving: boolean
  /** Where modules of third parties are looked for. */
  readonly folders: readonly string[]
}

/** It is the prefix of model ids, part of paths and of log lines. */
const wellFormedId = /^[\p{L}\p{N}_][\p{L}\p{M}\p{N}_.:@+-]{0,99}$/u

/** Reads `providers:`: every enabled entry by its own schema. What this version does not serve is warned of, each by name. */
export async function readProviders(root: MapNode, context: ProvidersContext): Promise<{ entries: ProviderEntry[]; ids: ProviderIds }> {
  const section = child(root, 'providers')
  const reader = new ProviderReader(context)
  if (!section) context.report.error({ path: ['providers'], at: root.at }, "is missing: name at least one, or start with 'corral build'")
  else if (section.kind === 'map') {
    for (const [api, { at, node }] of section.entries) {
      if (reader.isKnownApi(api, { at, parent: section })) await reader.readApi(api, node)
    }
  } else if (!isEmpty(section)) context.report.error(section, 'must be a map: API → list of providers')
  return { entries: reader.entries, ids: reader.ids }
}

/** The entry that has an id of an API; without a definition it is not served. */
interface KnownEntry {
  readonly type: string
  readonly definition?: ProviderDefinition
  /** Its settings as the schema took them, without those that it does not know. */
  readonly written?: unknown
}

/** Whether a type is that close to a known one of its kind (`remote::`, `inline::`). */
function isProbableTypo(type: string, types: readonly string[]): boolean {
  const [kind = '', name = ''] = type.split('::', 2)
  const others = types.filter((one) => one.startsWith(`${kind}::`)).map((one) => one.slice(kind.length + 2))
  return isNearMiss(name, others)
}

class ProviderReader {
  readonly entries: ProviderEntry[] = []
  readonly ids = { enabled: new Set<string>(), disabled: new Set<string>(), unserved: new Set<string>() }
  readonly #reading: ProvidersContext
  readonly #taken = new Map<string, KnownEntry>()

  constructor(context: ProvidersContext) {
    this.#reading = context
  }

  isKnownApi(api: string, place: Pick<Parameters<typeof reportUnknownKey>[0], 'at' | 'parent'>): boolean {
    const { definitions, planned, strictness, report } = this.#reading
    const served = definitions.map((one) => one.api)
    const known = [...new Set<string>([...definitions.map((one) => one.api), ...planned.map((one) => one.api), ...knownApis])]
    if (known.includes(api)) return true
    const path = [...place.parent.path, api]
    const meant = nearest(api, known)
    if (strictness === 'strict' || isNearMiss(api, served)) report.error({ path, at: place.at }, 'unknown API.', meant)
    else report.warn('unknown_key', { path, at: place.at }, 'unknown API: its providers are ignored.', meant)
    return false
  }

  async readApi(api: string, list: TreeNode): Promise<void> {
    const { report, apis } = this.#reading
    if (isEmpty(list)) return
    if (list.kind !== 'list') {
      this.#reportOf(api).error(list, "must be a list of providers: begin each with '- provider_id:'")
      return
    }
    const left = apis.length > 0 && !apis.includes(api)
    for (const item of list.items) {
      if (left) this.#noteLeftOut(item)
      else await this.#readItem(api, item)
    }
    if (left && list.items.length > 0) report.warn('notice', list, `these providers are not used: 'apis' does not list ${api}`)
  }

  #isServed(api: string): boolean {
    return this.#reading.definitions.some((one) => one.api === api)
  }

  /** In the providers of an API that is not served, nothing keeps the server from starting. */
  #reportOf(api: string): Report {
    const { report, strictness } = this.#reading
    return this.#isServed(api) ? report : report.forUnserved(strictness)
  }

  #noteLeftOut(item: TreeNode): void {
    const id = idIfEnabled(child(item, 'provider_id'))
    if (id !== undefined) this.ids.disabled.add(id)
  }

  async #readItem(api: string, item: TreeNode): Promise<void> {
    const report = this.#reportOf(api)
    if (item.kind !== 'map') {
      report.error(item, 'must be a map with provider_id and provider_type')
      return
    }
    const idNode = child(item, 'provider_id')
    const id = enabledId(idNode, { ...this.#reading, report })
    if (idNode && id === undefined) {
      if (idNode.kind !== 'scalar') report.error(idNode, 'must be text')
      this.#noteLeftOut(item)
      return
    }
    const known = this.#readKeys(item, report)
    if (id === undefined || !idNode) return
    const taken = this.#taken.get(`${api}/${id}`)
    if (taken && known?.type === taken.type && this.#repeats(item, taken)) {
      report.warn('notice', idNode, `${shown(idNode)} is a duplicate without different settings: ignored`)
      return
    }
    if (this.#isServed(api)) {
      if (taken) report.error(idNode, `the id ${shown(idNode)} is taken by another provider of ${api}`)
      this.#checkId(id, idNode)
    }
    if (!known) return
    const found = await this.#findDefinition(api, item, known)
    if (found === 'unserved') this.ids.unserved.add(id)
    else this.ids.enabled.add(id)
    if (typeof found !== 'object') {
      this.#taken.set(`${api}/${id}`, { type: known.type })
      return
    }
    const config = this.#readConfig(item, found)
    this.#taken.set(`${api}/${id}`, { type: known.type, definition: found, written: config?.written })
    if (config) this.entries.push({ id, type: found.type, api, definition: found, config: config.value })
  }

  #checkId(id: string, node: TreeNode): void {
    const { report } = this.#reading
    if (id === 'all' || id.includes('/')) report.error(node, "a provider_id cannot be 'all' nor contain '/'")
    else if (!wellFormedId.test(id)) {
      report.error(
        node,
        'a provider_id consists of letters, digits and _ . : @ + -, begins with a letter, a digit or _, and has at most 100',
      )
    }
  }

  /** Whether an entry repeats an earlier one of its id and type; settings that its type does not know are not compared. */
  #repeats(item: MapNode, { definition, written }: KnownEntry): boolean {
    if (!definition || written === undefined) return false
    const again = this.#readConfig(item, definition)
    const first = Object.entries(written as object)
    return (
      again !== undefined &&
      Object.entries(again.written as object).every(([key, value]) =>
        first.some(([name, one]) => name === key && isDeepStrictEqual(one, value)),
      )
    )
  }

  #warnOfUnserved(api: string, item: MapNode, { type, typeNode }: { type: string; typeNode: TreeNode }): 'unserved' {
    const { planned, report } = this.#reading
    // Why a type is not served is worth words where others of its API are.
    const reason = this.#isServed(api) ? planned.find((one) => one.api === api && one.type === type)?.planned : undefined
    const id = shown(child(item, 'provider_id')).slice(1, -1)
    const why = reason ? `: ${reason.replace(/\.$/, '')}` : ''
    report.warn('not_served', item, `not served by this version yet: ${id} (${shown(typeNode).slice(1, -1)}${why})`)
    return 'unserved'
  }

  /** The keys of an entry but for `config`; undefined after reporting. */
  #readKeys(item: MapNode, report: Report): { type: string; typeNode: TreeNode; module: string | undefined } | undefined {
    const { strictness } = this.#reading
    const withoutConfig = { ...item, entries: new Map([...item.entries].filter(([key]) => key !== 'config')) }
    const expanded = substitute(withoutConfig, { ...this.#reading, report })
    validate(expanded, providerEntrySchema, { report, strictness })
    // A slip in one key does not hide what is wrong with the others.
    const type = textOf(child(expanded, 'provider_type'))
    const typeNode = child(item, 'provider_type')
    return type === undefined || !typeNode ? undefined : { type, typeNode, module: textOf(child(expanded, 'module')) }
  }

  async #findDefinition(
    api: string,
    item: MapNode,
    known: { type: string; typeNode: TreeNode; module: string | undefined },
  ): Promise<ProviderDefinition | 'unserved' | 'wrong'> {
    const { definitions, planned, folders, strictness } = this.#reading
    const report = this.#reportOf(api)
    const { type, typeNode, module } = known
    const moduleNode = child(item, 'module')
    if (module !== undefined && moduleNode) {
      const loaded = await loadProviderModule(module, folders)
      if (loaded.kind === 'python') {
        report.warn(
          'not_served',
          moduleNode,
          `${shown(moduleNode)} is a Python module of Llama Stack: it cannot be loaded, and its provider is left out`,
        )
        return 'unserved'
      }
      if (loaded.kind === 'problem') {
        report.error(moduleNode, `${shown(moduleNode)}: ${loaded.message}`)
        return 'wrong'
      }
      const { definition } = loaded
      if (definition.api === api && definition.type === type) return definition
      report.error(
        moduleNode,
        `${shown(moduleNode)} holds the provider ${definition.type} of ${definition.api}, not ${shown(typeNode)} of ${api}`,
      )
      return 'wrong'
    }
    const definition = definitions.find((one) => one.api === api && one.type === type)
    if (definition) return definition
    // `telemetry.ts` reads it: what it provided is part of this server.
    if (api === 'telemetry' && type === llamaStackTelemetryType) return 'wrong'
    if (!this.#isServed(api) || planned.some((one) => one.api === api && one.type === type)) return this.#warnOfUnserved(api, item, known)
    const types = [...definitions, ...planned].filter((one) => one.api === api).map((one) => one.type)
    if (isProbableTypo(type, types)) {
      const message = `unknown provider type ${shown(typeNode)} for ${api}; 'corral list providers' lists all.`
      report.error(typeNode, message, nearest(type, types))
      return 'wrong'
    }
    const elsewhere = [...definitions, ...planned].find((one) => one.type === type)
    const why = elsewhere
      ? `${shown(typeNode)} is a provider of ${elsewhere.api}, not of ${api}: it is left out`
      : `unknown provider type ${shown(typeNode)} for ${api}: ignored. 'corral list providers' lists all.`
    // It may be a type of a later release, or of a Python module.
    this.#reading.report.forUnserved(strictness).error(typeNode, why)
    return 'unserved'
  }

  #readConfig(item: MapNode, definition: ProviderDefinition): { value: unknown; written: unknown } | undefined {
    const { report, strictness, forgiving } = this.#reading
    const attempt = forgiving ? new Report('') : report
    const before = attempt.errors.length
    const written = child(item, 'config')
    const at = written?.at ?? item.at
    const config =
      written && !isEmpty(written) ? substitute(written, { ...this.#reading, report: attempt }) : emptyMap([...item.path, 'config'], at)
    const read = validateWritten(config, definition.config, { report: attempt, strictness })
    if (attempt.errors.length === before) return { value: read?.value, written: read?.written }
    if (forgiving) {
      const reasons = attempt.errors.map((issue) => `${issue.path.split('.').at(-1)} ${issue.message}`)
      report.warn('notice', { path: item.path, at }, `${shown(child(item, 'provider_id'))} is left out: ${reasons.join('; ')}`)
    }
    return undefined
  }
}
