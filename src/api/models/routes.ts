import { z } from 'zod'
import { model, modelDeleted, modelList, registerModelRequest } from '../../schemas/models.ts'
import { defineRoute } from '../define.ts'

export const listModels = defineRoute({
  method: 'GET',
  path: '/v1/models',
  api: 'models',
  operationId: 'listModels',
  tag: 'Models',
  summary: 'List models',
  description:
    'The models of every provider that are known now, without waiting for slow providers. With the caller’s own provider key in the header, also the models that this key lists.',
  responses: { 200: { description: 'OK', json: modelList } },
  async handle({ call }, { models }) {
    return { object: 'list', data: await models.list(call) }
  },
})

const oneModel = {
  path: '/v1/models/{model_id+}',
  api: 'models',
  tag: 'Models',
  params: z.object({ model_id: z.string().meta({ description: 'The model’s id. Slashes can be literal or encoded as `%2F`.' }) }),
} as const

export const retrieveModel = defineRoute({
  ...oneModel,
  method: 'GET',
  operationId: 'retrieveModel',
  summary: 'Retrieve a model',
  responses: { 200: { description: 'OK', json: model } },
  handle: ({ params, call }, { models }) => models.get(params.model_id, call),
})

export const registerModel = defineRoute({
  path: '/v1/models',
  api: 'models',
  tag: 'Models',
  method: 'POST',
  operationId: 'registerModel',
  summary: 'Register a model',
  description:
    'Adds an alias for a provider’s model, stored in the server’s database and shared by all replicas. The caller owns it. Access by other callers is subject to the access policy, and using it requires access to the target model. Repeating the request returns the existing alias.',
  body: registerModelRequest,
  smallFields: ['metadata'],
  responses: { 200: { description: 'The model.', json: model } },
  // A model of that name already exists.
  errors: [409],
  handle: ({ body, call }, { models }) => models.register(body, call),
})

export const deleteModel = defineRoute({
  ...oneModel,
  method: 'DELETE',
  operationId: 'deleteModel',
  summary: 'Delete a registered model',
  description: 'Configured models and models listed by providers cannot be deleted (403).',
  responses: { 200: { description: 'OK', json: modelDeleted } },
  // 200 with OpenAI's body: Llama Stack publishes 200 as well, and its clients take any body (their servers sent 204 with none).
  async handle({ params, call }, { models }) {
    await models.unregister(params.model_id, call)
    return { id: params.model_id, object: 'model', deleted: true }
  },
})
