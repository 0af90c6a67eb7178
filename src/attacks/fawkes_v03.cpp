// Fawkes v0.3 (Shan et al., USENIX Security 2020; tag v0.3 of its code, protection.py and differentiator.py): the
// target of an album is one other person. Adadelta in tanh space moves each photo until its embedding lies beyond that
// person's, with a soft penalty on DSSIM above a threshold. L∞ is not limited, and the iterate nearest the goal is
// kept, even one over the budget.
//
// It is not known which command line, and so which penalty, made the paper's files. Presets fawkes-v0.3-… have 1e9, of
// 1 August 2020, when the code got the option --no-align that FaceCure uses; presets fawkes-v0.3-tag-… have the tag's
// own 1e6, which makes the attack stronger.
//
// Deviations from that code:
// - Photos of a batch are optimised independently. In the code, a batch of more than 1 shifts every goal by the batch's
//   mean, unused rows included; here each photo has its own goal, as in a batch of 1.
// - Targets come from `targets`, or from the data set's other people, not from 20,946 public ones. One is drawn among
//   the 20 farthest people or, of fewer than 200, the farthest tenth. Each photo draws its picture of the target
//   independently, so two may draw the same one; the code draws without replacement.
// - Pixels are those of the aligned canvas, which surrogates see through their own warp; the code has one crop of 224
//   pixels. DSSIM covers what the surrogates see ("dssim_over": "seen"), as the code's covers its crop. Adadelta's
//   steps depend on the resolution.
// - Surrogates are the user's cards; the code attacks high_extract, an adversarially trained DenseNet.
#include <algorithm>
#include <map>
#include <set>

#include "attacks/fawkes.hpp"
#include "attacks/search.hpp"
#include "attacks/targets.hpp"
#include "facepoison/dssim.hpp"

namespace facepoison {
namespace {

// Chooses the target of each person of an album, and a target photo for each of the person's photos.
class Targets final : public Companions {
 public:
  Targets(const AttackSettings& settings, bool target_per_photo, const StagedPhotos& album,
          std::span<const Photo> everybody, Seed seed, const EmbedPhotos& embed)
      : settings_(settings), target_per_photo_(target_per_photo), album_(album), seed_(seed) {
    const auto all = photos_of_targets(settings, everybody);
    from_ = StagedPhotos(std::vector<Photo>(all.begin(), all.end()));
    for (const auto& surrogate : settings.surrogates) {
      of_album_.push_back(embed(album_, surrogate));
      of_pool_.push_back(embed(from_, surrogate));
    }
    std::string pool;
    std::set<std::string> people;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i].test()) continue;
      people.insert(all[i].person);
      pool += all[i].person + '\n';
      for (const auto& stage : of_pool_) pool += name_of(stage->output(i));
    }
    pool_ = sha256(pool);
    for (std::size_t i = 0; i < album_.list().size(); ++i) {
      auto& own = albums_[album_.list()[i].person];
      own.rows.push_back(static_cast<std::int64_t>(i));
      for (const auto& stage : of_album_) own.names += name_of(stage->output(i));
    }
    for (const auto& [self, own] : albums_)
      if (people.empty() || people == std::set{self}) throw no_target_for(self, settings_);
  }

  std::vector<std::shared_ptr<Stage>> inputs() const override {
    std::vector<std::shared_ptr<Stage>> stages(of_album_.begin(), of_album_.end());
    stages.insert(stages.end(), of_pool_.begin(), of_pool_.end());
    return stages;
  }

  // The target depends on the embeddings of all the person's photos and of all possible targets.
  Json key(std::size_t first, std::size_t) const override {
    return {{"pool", pool_}, {"album", sha256(albums_.at(album_.list()[first].person).names)}};
  }

  // Only the person's part of the album: a picture does not depend on the other people in it.
  Needs needs(std::size_t first, std::size_t) const override {
    Needs needs;
    std::set<ArtefactId> own;
    for (const auto row : albums_.at(album_.list()[first].person).rows)
      for (const auto& stage : of_album_) own.insert(stage->output(static_cast<std::size_t>(row)).unit);
    needs.artefacts.assign(own.begin(), own.end());
    for (const auto& stage : of_pool_) needs.groups.push_back(stage->group());
    return needs;
  }

  CompanionFaces read(const ArtifactStore& store) const override {
    const Pool pool = make_pool(store);
    const auto features = embedded(of_album_, store);
    const auto& album = album_.list();
    std::vector<Photo> chosen(album.size());
    for (const auto& [person, mine] : albums_) {
      const auto& rows = mine.rows;
      const auto own = features.index_select(0, torch::tensor(rows));
      const Rows* target = nullptr;
      if (!target_per_photo_) target = &farthest(person, own, pool, Stream(seed_, "fawkes-v0.3", person));
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto& id = album[static_cast<std::size_t>(rows[i])].id;
        if (target_per_photo_)
          target = &farthest(person, own.narrow(0, static_cast<std::int64_t>(i), 1), pool,
                             Stream(seed_, "fawkes-v0.3", person, id));
        Stream stream(seed_, "fawkes-v0.3-photos", person, id);
        const auto drawn = (*target)[stream.below(std::min<std::size_t>(target->size(), 10))];
        chosen[static_cast<std::size_t>(rows[i])] = pool.photos[static_cast<std::size_t>(drawn)];
      }
    }
    return faces_of(std::move(chosen));
  }

 private:
  using Rows = std::vector<std::int64_t>;
  using Embedded = std::vector<std::shared_ptr<EmbeddingStage>>;  // by surrogate

  // The possible targets: people of `targets`, or of the data set, with their training photos.
  struct Pool {
    std::vector<Photo> photos;
    std::map<std::string, std::pair<Rows, torch::Tensor>> people;  // a person's photos, and their mean embedding
  };
  struct Album {
    Rows rows;
    std::string names;  // of the embeddings
  };

  static std::string name_of(const Output& output) { return concat(output.unit.name, " ", output.row, "\n"); }

  static torch::Tensor embedded(const Embedded& stages, const ArtifactStore& store) {
    std::vector<torch::Tensor> features;
    for (const auto& stage : stages) features.push_back(stage->read(store).to(torch::kFloat64));
    return torch::cat(features, 1);
  }

  Pool make_pool(const ArtifactStore& store) const {
    const auto& from = from_.list();
    Pool pool;
    const auto features = embedded(of_pool_, store);
    Rows rows;  // of `from`
    for (std::size_t i = 0; i < from.size(); ++i) {
      if (from[i].test()) continue;
      pool.people[from[i].person].first.push_back(static_cast<std::int64_t>(pool.photos.size()));
      pool.photos.push_back(from[i]);
      rows.push_back(static_cast<std::int64_t>(i));
    }
    const auto kept = features.index_select(0, torch::tensor(rows));
    for (auto& [person, own] : pool.people) own.second = kept.index_select(0, torch::tensor(own.first)).mean(0);
    return pool;
  }

  // The photos of another person, drawn among those with the mean embedding farthest from all the album's photos.
  const Rows& farthest(const std::string& self, const torch::Tensor& album, const Pool& pool, Stream stream) const {
    std::vector<std::pair<double, const Rows*>> people;
    for (const auto& [person, own] : pool.people)
      if (person != self) people.emplace_back((album - own.second).norm(2, 1).min().item<double>(), &own.first);
    std::stable_sort(people.begin(), people.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    return *people[stream.below(std::clamp<std::size_t>(people.size() / 10, 1, 20))].second;
  }

  const AttackSettings& settings_;
  bool target_per_photo_;
  StagedPhotos album_, from_;
  Seed seed_;
  Embedded of_album_, of_pool_;
  std::string pool_;                     // digest of the possible targets
  std::map<std::string, Album> albums_;  // by person
};

class FawkesV03 final : public Attack {
 public:
  struct Parameters {
    double threshold, rate, decay, penalty, epsilon, start, reach;
    std::int64_t steps, patience;
    bool truncate, target_per_photo, seen;
  };

  FawkesV03(AttackSettings settings, Parameters parameters) : Attack(std::move(settings)), p_(parameters) {}

  bool wants_companions() const override { return true; }

  std::shared_ptr<const Companions> companions(const StagedPhotos& album, std::span<const Photo> everybody, Seed seed,
                                               const EmbedPhotos& embed) const override;

 private:
  // The goals: points beyond the target as seen from the photo, N×D for each surrogate.
  std::vector<torch::Tensor> goals(const Faces& faces, const Faces& targets) const {
    const torch::NoGradGuard no_grad;
    std::vector<torch::Tensor> goals;
    Faces through = faces, aimed = targets;
    through.pixels = from_tanh(to_tanh(faces.pixels));
    aimed.pixels = from_tanh(to_tanh(targets.pixels));
    for (const auto& surrogate : settings().surrogates) {
      const auto own = surrogate->embed(through);
      goals.push_back(own + p_.reach * (surrogate->embed(aimed) - own));
    }
    return goals;
  }

  // Σ over surrogates of ‖t − F(x′)‖ / ‖t‖: N, smaller is nearer.
  torch::Tensor distance_to(const std::vector<torch::Tensor>& goals, const Faces& faces) const {
    torch::Tensor sum;
    for (std::size_t s = 0; s < goals.size(); ++s) {
      const auto distance = (goals[s] - settings().surrogates[s]->embed(faces)).norm(2, 1) / goals[s].norm(2, 1);
      sum = sum.defined() ? sum + distance : distance;
    }
    return sum;
  }

  torch::Tensor own_measure(const Faces& faces, const Faces& targets, const torch::Tensor& pixels) const override {
    const torch::NoGradGuard no_grad;
    Faces seen = faces;
    seen.pixels = pixels;
    return distance_to(goals(faces, targets), seen);
  }

  Found run(const Faces& faces, const Faces& targets, Seed) const override {
    auto goals_here = goals(faces, targets);
    Faces moved = faces;
    auto windows = p_.seen ? seen_windows(faces, settings().surrogates) : torch::Tensor();
    auto base = to_tanh(faces.pixels), clean = from_tanh(base), m = torch::full_like(base, p_.start);
    Adadelta adadelta(m);
    double rate = p_.rate;
    Search search(faces.pixels, p_.patience);
    for (std::int64_t i = 0;; ++i) {
      const bool last = i == p_.steps;  // the last pass only scores
      const torch::AutoGradMode gradients(!last);
      m = m.detach().requires_grad_(!last);
      moved.pixels = from_tanh(base + m);
      const auto away = distance_to(goals_here, moved), distance = dssim(moved.pixels, clean, windows);
      const auto loss = over_budget(distance, p_.threshold, p_.penalty) + away;
      search.note(loss, distance, away);
      if (i > 0) search.offer(i, moved.pixels, -away, torch::ones_like(search.here, torch::kBool));
      if (last) break;
      m = m.detach() - rate * adadelta.step(gradient(loss.sum(), m), p_.epsilon);
      if (i > 0 && i % std::max<std::int64_t>(p_.steps / 3, 1) == 0) rate *= p_.decay;
      std::vector<torch::Tensor*> states = {&base,           &clean,          &windows, &m, &adadelta.squares,
                                            &adadelta.moves, &moved.landmarks};
      for (auto& goal : goals_here) states.push_back(&goal);
      if (!search.go_on(i + 1, states)) break;
    }
    return {p_.truncate ? truncated(search.pictures) : search.pictures, search.iterations(), {}, search.trace()};
  }

  Parameters p_;
};

std::shared_ptr<const Companions> FawkesV03::companions(const StagedPhotos& album, std::span<const Photo> everybody,
                                                        Seed seed, const EmbedPhotos& embed) const {
  return std::make_shared<Targets>(settings(), p_.target_per_photo, album, everybody, seed, embed);
}

}  // namespace

std::shared_ptr<Attack> make_fawkes_v03(Spec& spec, AttackSettings settings) {
  FawkesV03::Parameters p;
  p.threshold = spec.number("threshold", 0, 1);
  p.steps = spec.integer("steps", 1, 100000);
  p.rate = spec.number("rate", 0, 1e6);
  p.decay = spec.number("decay", 0, 1, 0.8);
  p.penalty = spec.number("penalty", 0, 1e12, 1e9);
  p.epsilon = spec.number("adadelta_epsilon", 1e-12, 1, 1e-8);
  p.start = spec.number("start", -1, 1, 1e-6);
  p.reach = spec.number("reach", 0, 100, 2);
  p.patience = spec.integer("patience", 0, 100000, 0);
  p.truncate = spec.choice("rounding", {"truncate", "nearest"}, "truncate") == "truncate";
  p.seen = seen_from(spec);
  p.target_per_photo = spec.choice("target_per", {"album", "photo"}, "album") == "photo";
  return std::make_shared<FawkesV03>(std::move(settings), p);
}

}  // namespace facepoison
