import { isDeepStrictEqual } from 'node:util'
import type { RegisteredModel } from './config.ts'
import { nearest } from './nearest.ts'
import { registeredModelSchema } from './schema.ts'
import { type Substitution, substitute } from './substitute.ts'
import { child, isEmpty, type ListNode, shown, textOf, type TreeNode } from './tree.ts'
import { type Strictness, validate } from './validate.ts'

/** The result for the providers of a file. */
export interface ProviderIds {
  readonly enabled: ReadonlySet<string>
  /** Switched off by their own id. */
  readonly disabled: ReadonlySet<string>
  /** Known, but not served by this version; warned of already. */
  readonly unserved: ReadonlySet<string>
}

interface ModelsContext extends Substitution {
  readonly strictness: Strictness
  readonly ids: ProviderIds
}

/** Reads `registered_resources.models` and the older `models:`, in that order. Entries of disabled providers are left out. */
export function readModels(lists: readonly (TreeNode | undefined)[], context: ModelsContext): RegisteredModel[] {
  const models: RegisteredModel[] = []
  for (const list of lists) {
    if (!list || isEmpty(list)) continue
    if (list.kind !== 'list') {
      context.report.error(list, 'must be a list of models')
      continue
    }
    for (const item of (substitute(list, context) as ListNode).items) {
      const model = readModel(item, context)
      if (!model) continue
      const earlier = models.findIndex((other) => other.modelId === model.modelId && other.providerId === model.providerId)
      if (earlier < 0) models.push(model)
      else models[earlier] = sameModel(models[earlier]!, model, { item, context })
    }
  }
  return models
}

/** The entry that counts of two with one name and provider. */
function sameModel(
  earlier: RegisteredModel,
  later: RegisteredModel,
  { item, context: { report, strictness } }: { item: TreeNode; context: ModelsContext },
): RegisteredModel {
  const place = child(item, 'model_id') ?? item
  const message = `the model ${shown(child(item, 'model_id'))} is registered twice for one provider`
  if (isDeepStrictEqual(earlier, later)) return earlier
  if (!isDeepStrictEqual({ ...earlier, providerModelId: later.providerModelId }, later)) report.error(place, message)
  // Llama Stack 0.2 ships such pairs, and the later one counts there.
  else report.forUnserved(strictness).error(place, `${message}, with another provider_model_id: this entry counts`)
  return later
}

function readModel(item: TreeNode, context: ModelsContext): RegisteredModel | undefined {
  const { report, ids } = context
  const providerNode = child(item, 'provider_id')
  const isConditional = providerNode?.kind === 'scalar' && providerNode.expanded && isEmpty(providerNode)
  if (isConditional) return undefined
  const values = validate(item, registeredModelSchema, context)
  const providerId = textOf(providerNode)
  const isServed = providerId === undefined || providerId === 'all' || ids.enabled.has(providerId)
  if (!isServed && providerNode) {
    const name = shown(child(item, 'model_id'))
    if (ids.disabled.has(providerId)) {
      report.warn('notice', item, `the model ${name} is left out: its provider ${shown(providerNode)} is switched off`)
    } else if (ids.unserved.has(providerId)) {
      report.warn(
        'not_served',
        item,
        `the model ${name} is left out: its provider ${shown(providerNode)} is not served by this version yet`,
      )
    } else
      report.error(providerNode, `unknown provider ${shown(providerNode)}.`, nearest(providerId, [...ids.enabled, ...ids.disabled, 'all']))
  }
  if (!values || !isServed) return undefined
  return {
    modelId: values.model_id,
    providerId,
    providerModelId: values.provider_model_id || undefined,
    type: values.model_type,
    metadata: values.metadata ?? {},
  }
}
