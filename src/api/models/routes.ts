import { z } from 'zod'
import { ApiError, shortened } from '../../errors.ts'
import { model, modelDeleted, modelList } from '../../schemas/models.ts'
import { defineRoute } from '../define.ts'

export const listModels = defineRoute({
  method: 'GET',
  path: '/v1/models',
  api: 'models',
  operationId: 'listModels',
  tag: 'Models',
  summary: 'List models',
  description:
    'The models of every provider, as far as they are known now: a provider that is slow to list is not waited for. With a provider key of the caller’s own in the header, also what that key lists.',
  responses: { 200: { description: 'OK', json: modelList } },
  async handle({ call }, { models }) {
    return { object: 'list', data: await models.list(call) }
  },
})

const oneModel = {
  path: '/v1/models/{model_id+}',
  api: 'models',
  tag: 'Models',
  params: z.object({ model_id: z.string().meta({ description: 'The model’s id; slashes may stand as they are or as `%2F`.' }) }),
} as const

export const retrieveModel = defineRoute({
  ...oneModel,
  method: 'GET',
  operationId: 'retrieveModel',
  summary: 'Retrieve a model',
  responses: { 200: { description: 'OK', json: model } },
  handle: ({ params, call }, { models }) => models.get(params.model_id, call),
})

export const deleteModel = defineRoute({
  ...oneModel,
  method: 'DELETE',
  operationId: 'deleteModel',
  summary: 'Delete a fine-tuned model',
  description:
    'Models come from the server’s configuration and from the providers’ own listings: always answered with 403, or 404 where there is none.',
  responses: { 200: { description: 'OK', json: modelDeleted } },
  async handle({ params, call }, { models }) {
    const { id } = await models.get(params.model_id, call)
    throw new ApiError(
      'permission_error',
      `Model '${shortened(id)}' cannot be deleted here: change the server's configuration, or delete it at its provider.`,
      {
        code: 'model_not_deletable',
        param: 'model',
      },
    )
  },
})
