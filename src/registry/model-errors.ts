import { ApiError, type Denial, invalidRequest, notFound, shortened, unavailable } from '../errors.ts'

/** Seconds after which a caller may try again what is not known yet. */
const notListedRetryAfter = 2
/** And what only a changed configuration helps. */
const notStartedRetryAfter = 60

/** `param`: the field that names it. */
export function modelNotFound(id: string, denial?: Denial, param = 'model') {
  return notFound('Model', id, { code: 'model_not_found', param, ...(denial && { denial }) })
}

export function operationNotSupported(providerId: string, id: string, operation: string) {
  return invalidRequest(`Provider '${providerId}' of model '${shortened(id)}' does not support ${operation}.`, {
    param: 'model',
  })
}

export function modelAlreadyExists(id: string) {
  return invalidRequest(`Model '${shortened(id)}' already exists.`, {
    status: 409,
    code: 'already_exists',
    param: 'model_id',
    retryable: false,
  })
}

export function notPermittedForKey(id: string, keyId: string) {
  return new ApiError('permission_error', `This API key does not allow the model name '${shortened(id)}'.`, {
    code: 'model_not_permitted',
    param: 'model_id',
    denial: { by: 'key', reason: `not among the models of the key ${keyId}`, action: 'create', resource: shortened(`model::${id}`) },
  })
}

export function notListedYet(id: string, providerIds: readonly string[]) {
  const waiting = providerIds.map((one) => `'${one}'`).join(', ')
  return unavailable(
    `Model '${shortened(id)}' cannot be resolved yet: the models of ${waiting} have not been listed. Retry later.`,
    notListedRetryAfter,
    { code: 'models_not_listed_yet', param: 'model' },
  )
}

export function providerNotStarted(providerId: string) {
  return unavailable(`Provider '${providerId}' failed to start. See GET /v1/providers/${providerId} for the cause.`, notStartedRetryAfter)
}

/** What the caller may not use cannot be given another name either. `target`: its id in the catalogue. */
export function targetNotFound(target: string, denial: Denial | undefined) {
  return notFound('Model', target, { code: 'model_not_found', param: 'provider_model_id', ...(denial && { denial }) })
}

/** Configured, or listed by its provider. */
export function notDeletable(id: string) {
  return new ApiError(
    'permission_error',
    `Model '${shortened(id)}' cannot be deleted here: change the server's configuration, or delete it at its provider.`,
    { code: 'model_not_deletable', param: 'model' },
  )
}
