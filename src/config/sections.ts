import type { z } from 'zod'
import type { ProviderDefinition } from '../providers/provider.ts'
import { isNearMiss, nearest } from './nearest.ts'
import { builtInApis, fileSchema, knownApis, protects, registeredResourcesSchema, silentKeys, unusedSections } from './schema.ts'
import { type Substitution, substitute } from './substitute.ts'
import { child, holdsNothing, isEmpty, type MapNode, shown, textOf, type TreeNode } from './tree.ts'
import { reportUnknownKey, type Strictness, validate } from './validate.ts'

interface SectionContext extends Substitution {
  readonly strictness: Strictness
}

/** Checks `version:` and the keys of the top level; gives `distro_name`, or the older `image_name`. */
export function readVersion(root: MapNode, context: SectionContext): string | undefined {
  const { report } = context
  const version = child(root, 'version')
  if (version && textOf(substitute(version, context)) !== '2') {
    report.error(
      version,
      `this version reads configurations of version 2, not ${shown(version)}: to replace an older one, run 'corral build'`,
    )
  }
  const known = Object.keys(fileSchema.shape)
  const served = [...known.filter((key) => !(key in unusedSections)), ...Object.keys(guards)]
  for (const [key, { at }] of root.entries) {
    if (known.includes(key) || silentKeys.includes(key) || isGuard(key)) continue
    if (key === 'logging_config') report.warn('notice', { path: [key], at }, "has no effect: the key is 'logging'")
    else {
      const strictness = protects(key) ? 'strict' : context.strictness
      reportUnknownKey({ key, at, parent: root }, [...known, ...Object.keys(guards)], { report, strictness }, served)
    }
  }
  for (const key of ['external_providers_dir', 'external_apis_dir']) {
    const node = child(root, key)
    if (node && !holdsNothing(node)) {
      report.warn(
        'not_served',
        node,
        "names Python code of Llama Stack, which cannot be loaded. A provider's own 'module:' takes an npm package",
      )
    }
  }
  return nameOf(root, context)
}

function nameOf(root: MapNode, context: SectionContext): string | undefined {
  for (const key of ['distro_name', 'image_name']) {
    const node = child(root, key)
    if (!node) continue
    if (node.kind !== 'scalar') context.report.error(node, 'must be text')
    const name = textOf(substitute(node, context))
    if (name !== undefined) return name
  }
  return undefined
}

/** Policies at the top level are meant to protect: they are more than unknown keys. */
function isGuard(key: string): boolean {
  return key in guards
}

const guards: Readonly<Record<string, string>> = {
  auth: 'move it to server.auth',
  quota: 'move it to server.quota',
  tenancy: 'move it to server.tenancy',
  access_policy: 'move it to server.auth.access_policy',
  route_policy: 'move it to server.auth.route_policy',
  egress: 'move it to server.egress',
  audit: 'move it to server.audit',
  tls_certfile: 'move it to server.tls_certfile',
  tls_keyfile: 'move it to server.tls_keyfile',
  tls_cafile: 'move it to server.tls_cafile',
  tls_config: 'move it to server.tls_config',
}

/** Reads `apis:`; what this version does not serve of it is warned of once, by name. */
export function readApis(root: MapNode, context: SectionContext & { definitions: readonly ProviderDefinition[] }): string[] {
  const { report, strictness, definitions } = context
  const section = child(root, 'apis')
  if (!section || isEmpty(section)) return []
  if (section.kind !== 'list') {
    report.error(section, 'must be a list of API names')
    return []
  }
  const served = new Set<string>([...definitions.map((one) => one.api), ...builtInApis])
  const names: string[] = []
  for (const item of section.items) {
    const name = textOf(substitute(item, context))
    if (name === undefined) continue
    const known: readonly string[] = [...knownApis, ...served]
    if (known.includes(name)) {
      names.push(name)
      // Its providers are warned of one by one.
      const hasProviders = !holdsNothing(child(child(root, 'providers'), name))
      if (!served.has(name) && !hasProviders) report.warn('not_served', item, `not served by this version yet: ${name}`)
    } else if (strictness === 'strict' || isNearMiss(name, served)) report.error(item, `unknown API ${shown(item)}.`, nearest(name, known))
    else report.warn('unknown_key', item, `unknown API ${shown(item)}: ignored.`, nearest(name, known))
  }
  return names
}

/** Checks the form of the sections that this version does not use, and warns once for each that holds something. No mistake in them is fatal. */
export function readUnusedSections(root: MapNode, context: SectionContext): void {
  const { report, strictness } = context
  const unused = { ...context, report: report.forUnserved(strictness) }
  for (const [key, message] of Object.entries(guards)) {
    const node = child(root, key)
    if (node && !holdsNothing(node)) report.error(node, `has no effect here: ${message}`)
  }
  for (const [key, schema] of Object.entries(unusedSections)) {
    const node = child(root, key)
    if (!node || holdsNothing(node)) continue
    const expanded = substitute(node, unused)
    if (holdsNothing(expanded)) continue
    validate(expanded, schema, unused)
    report.warn('not_served', node, 'is not used by this version yet')
  }
  readResources(child(root, 'registered_resources'), context)
}

function readResources(section: TreeNode | undefined, context: SectionContext): void {
  const { report, strictness } = context
  if (!section || isEmpty(section)) return
  if (section.kind !== 'map') {
    report.error(section, 'must be a map of lists')
    return
  }
  const unused = { ...context, report: report.forUnserved(strictness) }
  const known: Readonly<Record<string, z.ZodType>> = registeredResourcesSchema.shape
  for (const [key, { at, node }] of section.entries) {
    if (key === 'models') continue
    const schema = known[key]
    if (!schema) reportUnknownKey({ key, at, parent: section }, Object.keys(known), context, ['models'])
    const expanded = schema && substitute(node, unused)
    if (!expanded || holdsNothing(expanded)) continue
    validate(expanded, schema, unused)
    report.warn('not_served', expanded, 'is not used by this version yet')
  }
}
