#include "facepoison/preprocessing.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "facepoison/classifier.hpp"
#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/log.hpp"
#include "facepoison/threads.hpp"
#include "stages/blocks.hpp"
#include "stages/embed_batch.hpp"

namespace facepoison {
namespace {

constexpr std::size_t photos_at_first = 10, photos_at_most = 40;  // of a person
constexpr std::int64_t draws_made = 2000;
constexpr std::size_t kinds_paired = 4;

using Albums = std::map<std::string, std::vector<Photo>>;  // by person

void drop_single_photos(Albums& albums) {
  std::erase_if(albums, [](const auto& album) { return album.second.size() < 2; });
}

double pairs_of_different_people(const Albums& albums) {
  double all = 0, own = 0;
  for (const auto& [person, photos] : albums) {
    const auto count = static_cast<double>(photos.size());
    all += count, own += count * count;
  }
  return (all * all - own) / 2;
}

Albums usable_albums(const Dataset& dataset) {
  Albums albums;
  for (const auto& photo : dataset.photos)
    if (photo.perturbed_by.empty() && photo.duplicate_of.empty()) albums[photo.person].push_back(photo);
  drop_single_photos(albums);
  for (auto& [person, photos] : albums) Stream(0, "photos-to-compare", person).shuffle(photos);
  return albums;
}

Albums first_of(const Albums& albums, std::size_t most) {
  std::vector<std::string> people;
  for (const auto& [person, photos] : albums) people.push_back(person);
  Stream(0, "people-to-compare").shuffle(people);
  Albums chosen;
  std::size_t count = 0;
  for (const auto each : {photos_at_first, photos_at_most})
    for (const auto& person : people) {
      const auto& photos = albums.at(person);
      auto& own = chosen[person];
      for (; own.size() < std::min(each, photos.size()) && count < most; ++count) own.push_back(photos[own.size()]);
    }
  drop_single_photos(chosen);
  return chosen;
}

}  // namespace

std::vector<Photo> photos_to_compare(const Dataset& dataset, std::size_t most) {
  const auto albums = first_of(usable_albums(dataset), most);
  constexpr double least_pairs = 1 / false_accepts;
  const double pairs = pairs_of_different_people(albums);
  if (pairs < least_pairs || albums.size() < least_people_who_differ)
    throw Error(Exit::input, concat(dataset.folder.string(), ": too few photos to compare preprocessings: found ",
                                    albums.size(), " people with two clean photos or more, and ", pairs,
                                    " pairs of different people; expected at least ", least_people_who_differ,
                                    " people and ", least_pairs, " pairs (TAR at FAR ", false_accepts, ")"));
  std::vector<Photo> photos;
  for (const auto& [person, own] : albums) photos.insert(photos.end(), own.begin(), own.end());
  return photos;
}

namespace {

// Embeds photos under several contracts; each photo is read once for all of them.
class ManyWays {
 public:
  ManyWays(const FeatureExtractor& extractor, std::span<const Photo> photos, const RunOptions& options)
      : extractor_(extractor), photos_(photos), options_(options), batch_(batch_rows(embed_block, options.device)) {}

  // The photos' embeddings N×D for each contract.
  std::vector<torch::Tensor> embed(const std::vector<Mistake>& ways) const {
    Progress progress(concat("check, ", extractor_.card().name), photos_.size() * ways.size(), "embeddings");
    std::vector<std::vector<torch::Tensor>> made(ways.size());
    Worker reader;
    auto next = reader.start([this] { return read(0); });
    for (std::size_t first = 0; first < photos_.size(); first += batch_) {
      const Faces faces = next.get();
      if (first + batch_ < photos_.size()) next = reader.start([this, at = first + batch_] { return read(at); });
      for (std::size_t k = 0; k < ways.size(); ++k) {
        stop_if_interrupted();
        made[k].push_back(embed_batch(ways[k].contract, faces).slice(0, 0, rows_from(first)));
        progress.advance(static_cast<std::size_t>(rows_from(first)));
      }
    }
    std::vector<torch::Tensor> whole;
    for (const auto& batches : made) whole.push_back(torch::cat(batches));
    return whole;
  }

  // A batch, padded to the full size.
  Faces read(std::size_t first) const {
    const auto rows = static_cast<std::size_t>(rows_from(first));
    return pad(load_faces(photos_.subspan(first, rows)), padded(rows, embed_block, options_.device));
  }

 private:
  std::int64_t rows_from(std::size_t first) const {
    return static_cast<std::int64_t>(std::min(batch_, photos_.size() - first));
  }

  torch::Tensor embed_batch(const Card& contract, const Faces& faces) const {
    std::vector<torch::Tensor> rows(faces.ids.size());
    in_pieces(options_.device, faces.ids.size(), piece_size, [&](std::size_t first, std::size_t count) {
      const c10::InferenceMode inference;
      const auto view = view_under(contract, part(faces, first, count).to(options_.device));
      const auto features = extractor_.embed_view_as(contract, view).to(torch::kCPU).unbind();
      std::copy(features.begin(), features.end(), rows.begin() + static_cast<std::ptrdiff_t>(first));
    });
    return torch::stack(rows);
  }

  const FeatureExtractor& extractor_;
  std::span<const Photo> photos_;
  RunOptions options_;
  std::size_t batch_;
};

bool is_usable(const torch::Tensor& embeddings) {
  return all_finite(embeddings) && (embeddings != 0).any(1).all().item<bool>();
}

// Do the contracts make the same input from these photos?
bool same_input(const Card& a, const Card& b, const Faces& faces) {
  return a.bgr == b.bgr && a.scale == b.scale && a.mean == b.mean && a.std == b.std &&
         a.flip_averaging == b.flip_averaging && torch::equal(view_under(a, faces), view_under(b, faces));
}

bool is_better(const Tried& a, const Tried& b) {
  const auto known = [](double value) { return std::isnan(value) ? -1 : value; };
  const auto rank = [&](const Verification& v) { return std::pair(known(v.tar), known(v.d_prime)); };
  return rank(a.measured) > rank(b.measured);
}

// The person's number for each photo.
std::vector<std::int64_t> numbers_of_people(std::span<const Photo> photos) {
  std::map<std::string, std::int64_t> numbers;
  std::vector<std::int64_t> of;
  for (const auto& photo : photos)
    of.push_back(numbers.emplace(photo.person, static_cast<std::int64_t>(numbers.size())).first->second);
  return of;
}

class Comparison {
 public:
  // Throws Error(model) if the network does not return what the card says.
  Comparison(const FeatureExtractor& extractor, std::span<const Photo> photos, const RunOptions& options)
      : card_(extractor.card()), ways_(extractor, photos, options), people_(numbers_of_people(photos)) {
    draws_ = draws_of_people(*std::max_element(people_.begin(), people_.end()) + 1, draws_made, 0);
    const c10::InferenceMode inference;
    some_ = part(ways_.read(0), 0, std::min<std::size_t>(2, photos.size()));
    extractor.embed(some_.to(options.device));
  }

  // Tries the card with each of these lists of changes, except lists that give the same input as another.
  void try_each(const std::vector<std::vector<Change>>& lists) {
    std::vector<Mistake> ways;
    std::vector<std::vector<Change>> tried;
    for (const auto& changes : lists) {
      const auto way = changed(card_, changes);
      if (is_known(way.contract)) continue;
      known_.push_back(way.contract);
      ways.push_back(way), tried.push_back(changes);
    }
    if (ways.empty()) return;
    log_info(concat(ways.size(), " preprocessings of ", people_.size(), " photos"));
    const auto embeddings = ways_.embed(ways);
    for (std::size_t k = 0; k < ways.size(); ++k) tried_.push_back(measured(ways[k], tried[k], embeddings[k]));
  }

  const std::vector<Tried>& tried() const { return tried_; }

 private:
  bool is_known(const Card& contract) const {
    return std::any_of(known_.begin(), known_.end(),
                       [&](const auto& known) { return same_input(known, contract, some_); });
  }

  Tried measured(const Mistake& way, const std::vector<Change>& changes, const torch::Tensor& embeddings) const {
    Tried one{changes.empty() ? "the card" : way.what, changes, way.contract, {}, {}, {}, {}};
    std::vector<double> apart(draws_made, unknown);
    one.tars = apart;
    if (is_usable(embeddings)) {
      const auto in_draws = PhotoPairs(embeddings, people_).measure(draws_);
      one.measured = in_draws.front();
      for (std::size_t d = 0; d < in_draws.size(); ++d) one.tars[d] = in_draws[d].tar, apart[d] = in_draws[d].d_prime;
    } else if (changes.empty()) {
      throw Error(Exit::model, concat(card_.name, " gives embeddings of zeros or of numbers that are not finite"));
    }
    one.tar = middle_interval({one.tars.begin() + 1, one.tars.end()});
    one.d_prime = middle_interval({apart.begin() + 1, apart.end()});
    return one;
  }

  Card card_;
  ManyWays ways_;
  std::vector<std::int64_t> people_;  // of each photo
  torch::Tensor draws_;               // the first one has everybody once
  Faces some_;
  std::vector<Card> known_;
  std::vector<Tried> tried_;
};

// The best change of each kind, the best kinds first.
std::vector<Change> best_changes(std::vector<Tried> tried, std::size_t most) {
  std::stable_sort(tried.begin(), tried.end(), is_better);
  std::vector<Change> best;
  for (const auto& one : tried) {
    if (one.changes.size() != 1 || best.size() == most) continue;
    const auto& change = one.changes.front();
    if (std::none_of(best.begin(), best.end(), [&](const auto& other) { return other.kind == change.kind; }))
      best.push_back(change);
  }
  return best;
}

}  // namespace

std::vector<Tried> try_preprocessings(const FeatureExtractor& extractor, std::span<const Photo> photos,
                                      const RunOptions& options) {
  std::vector<std::vector<Change>> lists = {{}};
  for (const auto& change : usual_changes(extractor.card()))
    if (change.kind != "mirror") lists.push_back({change});
  Comparison comparison(extractor, photos, options);
  comparison.try_each(lists);
  lists.clear();
  const auto best = best_changes(comparison.tried(), kinds_paired);
  for (std::size_t i = 0; i < best.size(); ++i)
    for (std::size_t j = i + 1; j < best.size(); ++j) lists.push_back({best[i], best[j]});
  comparison.try_each(lists);
  auto tried = comparison.tried();
  std::stable_sort(tried.begin() + 1, tried.end(), is_better);
  return tried;
}

Gain gain_over(const Tried& other, const Tried& one) {
  std::vector<double> gains;
  for (std::size_t d = 0; d < one.tars.size(); ++d) gains.push_back(one.tars[d] - other.tars[d]);
  return {gains.front(), middle_interval({gains.begin() + 1, gains.end()}, 0.99)};
}

std::optional<std::size_t> better_than_card(const std::vector<Tried>& tried) {
  std::vector<std::size_t> better;
  for (std::size_t k = 1; k < tried.size(); ++k)
    if (gain_over(tried.front(), tried[k]).is_seen()) better.push_back(k);
  if (better.empty()) return std::nullopt;
  for (const auto k : better)
    if (tried[k].changes.size() == 1 && !gain_over(tried[k], tried[better.front()]).is_seen()) return k;
  return better.front();
}

}  // namespace facepoison
