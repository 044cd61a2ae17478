<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Pulls an image; repeated while it runs, it joins the pull under way.
 * @implements Command<\Coolify\Coold\Data\ImagesPullAnswer>
 */
final readonly class ImagesPull implements Command
{
    /**
     * @param string $ref As podman takes it, for example "docker.io/library/nginx:alpine" or
     * "registry:5000/app@sha256:…".
     * @param \Coolify\Coold\Input\RegistryAuth|null $auth Credentials for the registry; absent where the registry
     * needs none.
     */
    public function __construct(
        public string $ref,
        public ?\Coolify\Coold\Input\RegistryAuth $auth = null,
    ) {
    }

    public function type(): string
    {
        return 'images.pull';
    }

    public function fields(): array
    {
        return array_filter([
            'ref' => $this->ref,
            'auth' => $this->auth === null ? null : (object) $this->auth->fields(),
        ], static fn (mixed $value): bool => $value !== null);
    }

    public function deadline(): ?float
    {
        return null;
    }

    public function worksAnew(): bool
    {
        return false;
    }

    public function read(mixed $data): \Coolify\Coold\Data\ImagesPullAnswer
    {
        return \Coolify\Coold\Data\ImagesPullAnswer::from($data);
    }
}
