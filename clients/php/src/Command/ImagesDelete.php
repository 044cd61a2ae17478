<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Removes an image that no container uses.
 * @implements Command<null>
 */
final readonly class ImagesDelete implements Command
{
    /** @param string $ref A name or an id. */
    public function __construct(
        public string $ref,
    ) {
    }

    public function type(): string
    {
        return 'images.delete';
    }

    public function fields(): array
    {
        return array_filter([
            'ref' => $this->ref,
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

    public function read(mixed $data): mixed
    {
        return null;
    }
}
