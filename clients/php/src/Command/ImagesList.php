<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Every image of the host, by name.
 * @implements Command<list<\Coolify\Coold\Data\Image>>
 */
final readonly class ImagesList implements Command
{

    public function type(): string
    {
        return 'images.list';
    }

    public function fields(): array
    {
        return [];
    }

    public function deadline(): ?float
    {
        return null;
    }

    public function worksAnew(): bool
    {
        return false;
    }

    public function read(mixed $data): array
    {
        return array_map(\Coolify\Coold\Data\Image::from(...), $data);
    }
}
